// Resolves with true once a condition holds, with false if it does not in time; looks at every change of the page.
async (milliseconds, condition) => {
  const holds = () => {
    try {
      return Boolean(condition());
    } catch {
      return false;
    }
  };
  if (holds()) return true;
  return new Promise((resolve) => {
    const watcher = new MutationObserver(() => holds() && end(true));
    const clock = setInterval(() => holds() && end(true), 50); // scrolling and focus change no node
    const last = setTimeout(() => end(false), milliseconds);
    function end(found) {
      watcher.disconnect();
      clearInterval(clock);
      clearTimeout(last);
      resolve(found);
    }
    watcher.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  });
}
