// What several modules need and none of them owns: finding elements, and calling what may fail.

// The elements in a part of the page that match, that part's own root among them.
export const withSelf = (root, selector) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];

// The first match in the smallest part of the page around an element that has one: a pane may be there twice.
export function near(element, selector) {
  for (let part = element; part; part = part.parentElement) {
    const found = part.querySelector(selector);
    if (found) return found;
  }
  return null;
}

// Call what must not stop others when it fails; where it failed stands in the console.
export function attempt(name, call) {
  try {
    return call();
  } catch (error) {
    return complain(name, error);
  }
}

export function complain(name, error) {
  console.error(`${name}:`, error);
}

// Who wants to be told of something, until a signal says that they are gone.
export class Listeners {
  #all = new Set();
  #name;

  constructor(name) {
    this.#name = name;
  }

  add(listener, signal) {
    if (signal?.aborted) return;
    this.#all.add(listener);
    signal?.addEventListener("abort", () => this.#all.delete(listener), { once: true });
  }

  tell(...news) {
    for (const listener of [...this.#all]) attempt(this.#name, () => listener(...news));
  }
}
