// Keeps an open page true: the agent sends HTML for what has changed, by the id of the element that it stands in.
"use strict";

const AGAIN_AFTER_MS = 5000;
const connection = document.getElementById("connection");

function say(words) {
  connection.hidden = words === "";
  if (connection.textContent !== words) connection.textContent = words;
}

// Whoever was on a link inside of what is replaced, stays on it.
function put(id, html) {
  const element = document.getElementById(id);
  if (element === null || element.innerHTML === html) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.innerHTML = html;
  if (focused !== "") document.getElementById(focused)?.focus({ preventScroll: true });
}

const address = document.body.dataset.live;
let source = null;

function follow() {
  if (source !== null || document.hidden) return;
  source = new EventSource(address);
  source.addEventListener("open", () => say(""));
  source.addEventListener("fragments", (event) => {
    for (const [id, html] of JSON.parse(event.data)) put(id, html);
    filter();
  });
  source.addEventListener("error", () => {
    say(`Not connected to the controller. What you see was so at ${new Date().toLocaleTimeString()}.`);
    if (source.readyState === EventSource.CLOSED) askWhy();
  });
}

// The browser gave up: the agent knows this session no more, or has too many that follow.
async function askWhy() {
  leave();
  try {
    const answer = await fetch("/api/status", { method: "HEAD" });
    if (answer.status === 401) return location.assign("/login");
  } catch { /* not there: tried again below */ }
  setTimeout(follow, AGAIN_AFTER_MS);
}

function leave() {
  source?.close();
  source = null;
}

// A page that nobody sees costs the controller nothing, nor one of the few connections of a browser.
if (address) {
  follow();
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  document.querySelector('form[action="/logout"]')?.addEventListener("submit", leave); // the agent would cut us off
}

const form = document.getElementById("filter");
const KINDS = {
  up: (cell) => cell.dataset.link !== "down",
  down: (cell) => cell.dataset.link !== "up",
  open: (cell) => cell.dataset.open !== "0",
  move: (cell) => cell.dataset.move === "1",
  error: (cell) => cell.dataset.error === "1",
};

function filter() {
  if (form === null) return;
  const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isOfKind = KINDS[form.elements.show.value] ?? (() => true);
  let shown = 0;
  const rows = document.querySelectorAll("#stations tr[id]");
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !(isOfKind(row.cells[0]) && words.every((word) => text.includes(word)));
    if (!row.hidden) shown += 1;
  }
  const said = shown === rows.length ? `${shown} stations` : `${shown} of ${rows.length} stations`;
  const output = document.getElementById("shown");
  if (output.textContent !== said) output.textContent = said;
}

// What is filtered stands in the address, so that it can be kept and sent to others.
function remember() {
  const kept = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  history.replaceState(null, "", kept.size ? `?${kept}` : location.pathname);
}

if (form !== null) {
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (form.elements[name]) form.elements[name].value = value;
  }
  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
