// Puts the content of another page of the site into this one, in a box of its own that scrolls.
async (address, id) => {
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const box = document.createElement("section");
  box.id = id;
  box.style.cssText = "height: 20rem; overflow-y: auto";
  box.append(document.importNode(page.querySelector(".agent-content"), true));
  document.querySelector("main").append(box);
  window.htmx.process(box);
}
