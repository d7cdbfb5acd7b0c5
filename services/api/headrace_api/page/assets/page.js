// What the server cannot do: times that age, charts, buttons that ask the API, and whether the list is live.
"use strict";
(() => {
  const spans = [["day", 86400], ["hour", 3600], ["minute", 60]];

  const span = (seconds) => {
    for (const [unit, length] of spans) {
      const number = Math.floor(seconds / length);
      if (number >= 1) return `${number} ${unit}${number > 1 ? "s" : ""}`;
    }
    return `${seconds} s`;
  };

  const ago = (at) => {
    const seconds = Math.round((Date.now() - at) / 1000);
    if (seconds < 0) return `in ${span(-seconds)}`;
    return seconds < 2 ? "just now" : `${span(seconds)} ago`;
  };

  const age = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const draw = (box) => {
    const at = JSON.parse(box.dataset.at);
    if (at.length < 2) {
      box.textContent = at.length ? "one load so far" : "";
      return;
    }
    const large = box.classList.contains("large");
    const axis = { stroke: color("--pico-muted-color"), grid: { stroke: color("--edge"), width: 1 }, ticks: { show: false } };
    const line = (label, stroke, scale, more) => ({ label, stroke, scale, width: 1.5, points: { show: large, size: 4 }, ...more });
    box.replaceChildren();
    new uPlot({
      width: box.clientWidth,
      height: large ? box.clientHeight - 30 : box.clientHeight,
      legend: { show: large },
      cursor: { show: large },
      // Equally far apart: loads come in bursts, and a burst would be one vertical stroke.
      scales: { x: { time: false }, rows: { range: (_, low, high) => [0, (high || 1) * 1.1] }, seconds: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
      axes: large
        ? [{ ...axis, size: 28, values: (_, ticks) => ticks.map((place) => (Number.isInteger(place) && at[place] ? new Date(at[place] * 1000).toLocaleTimeString() : "")) },
           { ...axis, scale: "rows", size: 70, label: "rows", labelSize: 18 },
           { ...axis, scale: "seconds", side: 1, size: 50, label: "seconds", labelSize: 18, grid: { show: false } }]
        : [{ show: false }, { show: false, scale: "rows" }, { show: false, scale: "seconds" }],
      series: [
        { label: "landed", value: (_, place) => (place == null ? "" : new Date(at[place] * 1000).toLocaleString()) },
        line("rows", color("--chart-line"), "rows", { fill: `${color("--chart-line")}22` }),
        line("seconds", color("--chart-time"), "seconds", { dash: [4, 3] }),
      ],
    }, [at.map((_, place) => place), JSON.parse(box.dataset.rows), JSON.parse(box.dataset.seconds)], box);
  };

  const drawAll = () => document.querySelectorAll(".chart").forEach(draw);

  const sentence = async (answer) => {
    try {
      const found = await answer.json();
      return found.detail || `The API answered ${answer.status}.`;
    } catch {
      return `The API answered ${answer.status}.`;
    }
  };

  const say = (near, text) => {
    const place = near.closest("section, main").querySelector(".said") || document.querySelector(".said");
    place.textContent = text;
  };

  // One key for each button, however often it is pressed: the API does the same thing once.
  const keys = new WeakMap();

  const post = async (button) => {
    if (!keys.has(button)) keys.set(button, Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join(""));
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.post, { method: "POST", headers: { "Idempotency-Key": keys.get(button) } });
      say(button, answer.ok ? button.dataset.done : await sentence(answer));
      button.disabled = answer.ok;
    } catch {
      say(button, "The API cannot be reached at the moment. Try again.");
      button.disabled = false;
    }
  };

  const cell = (name, text) => {
    const made = document.createElement(name);
    made.textContent = text === null || text === undefined ? "" : typeof text === "object" ? JSON.stringify(text) : String(text);
    return made;
  };

  const letters = async (box) => {
    const tell = (text) => box.replaceChildren(cell("p", text));
    try {
      const answer = await fetch(box.dataset.letters);
      if (!answer.ok) return tell(await sentence(answer));
      const { items } = await answer.json();
      if (!items.length) return tell("No message lies in a dead-letter queue.");
      const names = Object.keys(items[0]).slice(0, 6);
      const table = document.createElement("table");
      table.append(cell("caption", "Messages that every try failed on: headrace redrive moves them back."));
      const head = table.createTHead().insertRow();
      for (const name of names) head.append(Object.assign(cell("th", name.replaceAll("_", " ")), { scope: "col" }));
      const body = table.createTBody();
      for (const item of items) body.insertRow().append(...names.map((name) => cell("td", item[name])));
      box.replaceChildren(table);
    } catch {
      tell("The API cannot be reached at the moment. Load this page again.");
    }
  };

  const link = (state, text) => {
    const shown = document.getElementById("link");
    if (!shown || shown.dataset.state === state) return;
    shown.dataset.state = state;
    shown.textContent = text;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-post]");
    if (button) post(button);
  });
  document.addEventListener("htmx:sse:after:connection", () => link("live", "Live"));
  document.addEventListener("htmx:sse:after:message", age);
  for (const name of ["htmx:sse:error", "htmx:sse:close", "htmx:error"]) {
    document.addEventListener(name, () => link("away", "Not connected; trying again"));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => document.querySelectorAll(".chart.large").forEach(draw));
  setInterval(age, 10000);
  age();
  drawAll();
  document.querySelectorAll("[data-letters]").forEach(letters);
})();
