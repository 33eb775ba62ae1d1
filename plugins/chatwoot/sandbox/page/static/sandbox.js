"use strict";

const $ = (id) => document.getElementById(id);
const t = JSON.parse($("texts").textContent);
const ticks = { sent: "✓", delivered: "✓✓", read: "✓✓" };
const seen = {};
let conversation = null;
let app = null;
let view = null;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

function changed(name, value) {
  const text = JSON.stringify(value);
  if (seen[name] === text) return false;
  seen[name] = text;
  return true;
}

function hour(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
}

function say(text) {
  $("trouble").textContent = text || "";
  $("trouble").hidden = !text;
}

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const result = await answer.json();
  if (!answer.ok) throw new Error(`${t.refused}: ${result.error}`);
  return result;
}

async function act(work) {
  try {
    await work();
    await poll();
  } catch (error) {
    say(error.message);
  }
}

/* --- threads --- */

function bubble(message, mine, forClient) {
  if (message.kind === "activity") return element("li", "activity", message.content);
  const item = element("li", mine ? "mine" : "");
  if (message.private) item.classList.add("note");
  item.append(message.content || "");
  for (const file of message.attachments || []) item.append(element("div", "quiet", `${t.attachment}: ${file.file_type}`));
  const choices = forClient && message.content_attributes.items;
  if (Array.isArray(choices)) {
    const row = element("div", "choices");
    for (const choice of choices) {
      const button = element("button", "", choice.title);
      button.type = "button";
      button.addEventListener("click", () => act(() => fromClient(choice.title)));
      row.append(button);
    }
    item.append(row);
  }
  const error = message.content_attributes.external_error;
  if (!forClient && message.status === "failed") item.append(element("small", "bad", `${t.failed}: ${error || ""}`));
  const foot = element("small", "", hour(message.created_at));
  if (message.kind === "template") foot.append(` · ${t.automatic}`);
  if (message.private) foot.append(` · ${t.note}`);
  if (!forClient && mine && !message.private && ticks[message.status]) {
    const tick = element("span", "", ` ${ticks[message.status]} ${t[message.status]}`);
    foot.append(tick);
  }
  item.append(foot);
  return item;
}

function thread(list, messages, forClient, empty) {
  const bottom = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.replaceChildren();
  if (!messages.length) list.append(element("li", "empty", empty));
  for (const message of messages) {
    const fromCustomer = message.kind === "incoming";
    list.append(bubble(message, fromCustomer === forClient, forClient));
  }
  if (bottom) list.scrollTop = list.scrollHeight;
}

/* --- the client's phone --- */

function who() {
  const option = $("inbox").selectedOptions[0];
  const channel = option ? option.dataset.channel : "";
  const value = $("phone").value.trim();
  const sender = { inbox_id: Number($("inbox").value) };
  if (channel === "Channel::Email") sender.source_id = value;
  else sender.phone = value;
  return sender;
}

function fromClient(text) {
  return post("/sandbox/incoming", { ...who(), name: $("name").value.trim() || null, text });
}

function showInboxes() {
  const kept = $("inbox").value;
  $("inbox").replaceChildren();
  for (const inbox of view.inboxes) {
    const option = element("option", "", inbox.name);
    option.value = inbox.id;
    option.dataset.channel = inbox.channel;
    $("inbox").append(option);
  }
  const asked = new URLSearchParams(location.search).get("inbox");
  const newest = view.inboxes.find((inbox) => view.conversations.length && inbox.name === view.conversations[0].inbox);
  if (kept) $("inbox").value = kept;
  else if (asked) $("inbox").value = asked;
  else if (newest) $("inbox").value = newest.id;
  $("phones").replaceChildren(...view.phones.map((phone) => Object.assign(document.createElement("option"), { value: phone })));
  nameAddress();
}

function nameAddress() {
  const option = $("inbox").selectedOptions[0];
  $("address-label").textContent = option && option.dataset.channel === "Channel::Email" ? t.email : t.phone;
}

/* --- the agent's desk --- */

function showList() {
  const list = $("conversations");
  list.replaceChildren();
  if (!view.conversations.length) list.append(element("p", "quiet", t.no_conversations));
  for (const talk of view.conversations) {
    const button = element("button");
    button.type = "button";
    button.setAttribute("aria-current", String(talk.id === conversation));
    const first = element("span", "row");
    first.append(element("strong", "", talk.name), element("span", "", hour(talk.at)));
    const second = element("span", "row");
    second.append(element("span", "", `${talk.inbox} · ${t["status_" + talk.status]}`));
    if (talk.unread) second.append(element("span", "badge", talk.unread));
    button.append(first, element("span", "last", talk.last || "—"), second);
    button.addEventListener("click", () => open(talk.id));
    const item = element("li");
    item.append(button);
    list.append(item);
  }
}

function open(id) {
  conversation = id;
  history.replaceState(null, "", id === null ? location.pathname + location.search : `#${id}`);
  poll().catch(() => say(t.offline));
}

function turnTo(side) {
  document.querySelector("main").dataset.side = side;
  for (const button of document.querySelectorAll(".sides button")) button.setAttribute("aria-pressed", String(button.dataset.side === side));
}

function pairs(list, entries, empty) {
  list.replaceChildren();
  if (!entries.length) list.append(element("dd", "quiet", empty));
  for (const [name, value] of entries) list.append(element("dt", "", name), element("dd", "", typeof value === "object" ? JSON.stringify(value) : String(value)));
}

function showDesk() {
  const desk = view.desk;
  document.querySelector(".desk").dataset.open = String(Boolean(desk));
  $("talk").hidden = $("about").hidden = !desk;
  $("pick").hidden = Boolean(desk);
  if (!desk) return;
  const { conversation: talk, contact } = desk;
  const summary = view.conversations.find((c) => c.id === talk.id);
  $("talk-name").textContent = contact.name || contact.phone_number;
  $("talk-about").textContent = `#${talk.id} · ${summary ? summary.inbox + " · " : ""}${t["status_" + talk.status]}`;
  $("toggle").textContent = talk.status === "resolved" ? t.reopen : t.resolve;
  $("toggle").dataset.action = talk.status === "resolved" ? "open" : "resolved";
  $("window").hidden = talk.can_reply;
  thread($("desk-thread"), desk.messages, false, t.pick);
  const known = [[t.name, contact.name], [t.phone, contact.phone_number], [t.email, contact.email], ["identifier", contact.identifier]];
  pairs($("contact"), known.filter(([, value]) => value), "");
  pairs($("attributes"), Object.entries(contact.custom_attributes), t.no_attributes);
  $("labels").textContent = talk.labels.join(", ") || "—";
  showTabs();
}

function showTabs() {
  const tabs = [{ id: null, title: t.messages }, ...view.apps];
  $("tabs").hidden = tabs.length === 1;
  $("tabs").replaceChildren();
  for (const tab of tabs) {
    const button = element("button", "", tab.title);
    button.type = "button";
    button.setAttribute("aria-pressed", String(tab.id === app));
    button.addEventListener("click", () => { app = tab.id; seen.desk = null; showDesk(); });
    $("tabs").append(button);
  }
  $("talk-messages").hidden = app !== null;
  const key = app === null ? null : `${app}-${conversation}`;
  if (seen.frame === key) return;
  seen.frame = key;
  $("frames").replaceChildren();
  const chosen = view.apps.find((a) => a.id === app);
  if (!chosen) return;
  const frame = document.createElement("iframe");
  frame.title = chosen.title;
  frame.src = chosen.content[0].url;
  frame.addEventListener("load", () => sendContext(frame));
  $("frames").append(frame);
}

function sendContext(frame) {
  const { conversation: talk, contact } = view.desk;
  const data = { conversation: talk, contact, currentAgent: { id: 2, name: "Ana Agente", email: "ana@estetica.example" } };
  frame.contentWindow.postMessage(JSON.stringify({ event: "appContext", data }), "*");
}

window.addEventListener("message", (event) => {
  const frame = document.querySelector("#frames iframe");
  if (event.data === "chatwoot-dashboard-app:fetch-info" && frame && view.desk) sendContext(frame);
});

/* --- asking and showing --- */

async function poll() {
  const sender = who();
  const query = new URLSearchParams({ inbox_id: sender.inbox_id || 1 });
  if (sender.phone) query.set("phone", sender.phone);
  if (sender.source_id) query.set("source_id", sender.source_id);
  if (conversation !== null) query.set("conversation", conversation);
  const answer = await fetch(`/sandbox/view?${query}`);
  if (!answer.ok) throw new Error(t.offline);
  view = await answer.json();
  if (changed("inboxes", [view.inboxes, view.phones])) showInboxes();
  if (changed("phone", [view.phone, sender])) thread($("phone-thread"), view.phone, true, $("phone").value.trim() ? t.phone_empty : t.phone_who);
  if (changed("list", [view.conversations, conversation])) showList();
  if (changed("desk", [view.desk, view.apps])) showDesk();
  if (changed("delivery", [view.delivery, view.webhooks])) showDelivery();
}

function showDelivery() {
  const last = view.delivery;
  let text = view.webhooks ? t.no_delivery : t.no_webhook;
  if (last) text = `${t.last_delivery}: ${last.event} → ${last.status || last.error || "…"}`;
  $("delivery").textContent = text;
}

async function keepPolling() {
  if (!document.hidden) {
    try {
      await poll();
      if ($("trouble").textContent === t.offline) say("");
    } catch {
      say(t.offline);
    }
  }
  setTimeout(keepPolling, 1000);
}

function sendsOnEnter(area, form) {
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}

$("write").addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    await fromClient($("client-text").value);
    $("client-text").value = "";
    say("");
  });
});

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  const action = new FormData($("answer")).get("mode");
  act(async () => {
    await post("/sandbox/agent", { conversation_id: conversation, action, text: $("agent-text").value });
    $("agent-text").value = "";
    say("");
  });
});

$("answer").addEventListener("change", () => {
  const noting = new FormData($("answer")).get("mode") === "note";
  $("answer").classList.toggle("noting", noting);
  const label = noting ? t.note_label : t.reply_label;
  $("agent-label").textContent = $("agent-text").placeholder = label;
  $("agent-send").textContent = noting ? t.save_note : t.send;
});

$("toggle").addEventListener("click", () => act(() => post("/sandbox/agent", { conversation_id: conversation, action: $("toggle").dataset.action })));
$("back").addEventListener("click", () => open(null));
$("who").addEventListener("submit", (event) => event.preventDefault());
$("who").addEventListener("input", () => { say(""); nameAddress(); poll().catch(() => say(t.offline)); });

for (const button of document.querySelectorAll(".sides button")) button.addEventListener("click", () => turnTo(button.dataset.side));

sendsOnEnter($("client-text"), $("write"));
sendsOnEnter($("agent-text"), $("answer"));
if (/^#\d+$/.test(location.hash)) {
  turnTo("agent");
  open(Number(location.hash.slice(1)));
}
keepPolling();
