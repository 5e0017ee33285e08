// Writes down what happens on a board while nobody looks: phases, drafts with their lengths, arguments.
window.journal = { phases: [], drafts: {}, cards: [], lengths: {} };
document.addEventListener("DOMContentLoaded", () => {
  const { phases, drafts, cards, lengths } = window.journal;
  const note = () => {
    const phase = document.querySelector(".phases")?.dataset.phase;
    if (phase && phase !== phases.at(-1)) phases.push(phase);
    for (const column of document.querySelectorAll("[data-drafts]")) {
      const text = column.querySelector(".draft [data-draft-text]")?.textContent || "";
      const known = (drafts[column.dataset.drafts] ||= []);
      if (text && text !== known.at(-1)) known.push(text);
    }
    for (const card of document.querySelectorAll(".board .card[id]:not(.draft)")) {
      const name = `card-${card.dataset.key}`;
      if (cards.includes(name)) continue;
      cards.push(name);
      for (const column of Object.keys(drafts)) {
        if (card.classList.contains(`side-${document.querySelector(`[data-drafts="${column}"]`).dataset.number}`)) {
          lengths[name] = { written: drafts[column].slice(), text: card.querySelector(".card-text").innerText };
          drafts[column] = [];
        }
      }
    }
    for (const element of document.querySelectorAll(".text.streaming")) {
      const known = (lengths[element.id] ||= []);
      const raw = element.querySelector(".raw");
      const length = Number(raw.dataset.begin) + raw.textContent.length;
      if (length !== known.at(-1)) known.push(length);
    }
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  note();
});
