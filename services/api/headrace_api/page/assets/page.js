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

  const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

  const draw = (box) => {
    const at = JSON.parse(box.dataset.at);
    if (at.length < 2) {
      box.textContent = at.length ? "one load so far" : "";
      return;
    }
    const large = box.classList.contains("large");
    // A day's loads by the time of day, older ones by the day too; in UTC, as everywhere here.
    const [from, to] = at.at(-1) - at[0] < 86400 ? [11, 19] : [5, 16];
    const axis = { stroke: color("--pico-muted-color"), grid: { stroke: color("--edge"), width: 1 }, ticks: { show: false } };
    const line = (label, stroke, scale, more) => ({ label, stroke, scale, width: 1.5, value: (_, number) => number?.toLocaleString("en") ?? "", points: { show: large, size: 4 }, ...more });
    box.replaceChildren();
    new uPlot({
      width: box.clientWidth,
      height: large ? box.clientHeight - 30 : box.clientHeight,
      legend: { show: large },
      cursor: { show: large },
      // Equally far apart: loads come in bursts, and a burst would be one vertical stroke.
      scales: { x: { time: false }, rows: { range: (_, low, high) => [0, (high || 1) * 1.1] }, seconds: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
      axes: large
        ? [{ ...axis, size: 28, values: (_, ticks) => ticks.map((place) => (Number.isInteger(place) && at[place] ? utc(at[place]).slice(from, to) : "")), label: "landed, UTC", labelSize: 16 },
           { ...axis, scale: "rows", size: 70, label: "rows", labelSize: 18 },
           { ...axis, scale: "seconds", side: 1, size: 50, label: "seconds", labelSize: 18, grid: { show: false } }]
        : [{ show: false }, { show: false, scale: "rows" }, { show: false, scale: "seconds" }],
      series: [
        { label: "landed", value: (_, place) => (place == null ? "" : `${utc(at[place])} UTC`) },
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

  const placeOf = (button) => button.parentElement.querySelector(".said") || button.closest("section").querySelector(".said");

  const moved = ({ items: [{ service, by, message_ids: ids, complete }] }) => {
    if (by === "move_task") return `All dead letters of the ${service} are on their way back to its inbox.`;
    const what = ids.length === 1 ? "1 dead letter is" : `${ids.length} dead letters are`;
    const told = ids.length ? `${what} back in the inbox of the ${service}.` : "It lies there no longer.";
    return complete ? told : `${told} More may lie there: ask again.`;
  };

  // One key for each button, however often it is pressed: the API does the same thing once.
  const keys = new WeakMap();

  const ask = (button) => {
    if (!keys.has(button)) keys.set(button, Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join(""));
    const { post, body } = button.dataset;
    return fetch(post, { method: "POST", body, headers: { "Content-Type": "application/json", "Idempotency-Key": keys.get(button) } });
  };

  const post = async (button) => {
    const place = placeOf(button);
    button.disabled = true;
    try {
      const answer = await ask(button);
      place.textContent = answer.ok ? button.dataset.done || moved(await answer.json()) : await sentence(answer);
      button.disabled = answer.ok;
      if (answer.ok && button.dataset.body) {
        // The list is made anew, and what has the focus there goes.
        place.focus();
        document.getElementById("dead-letters").dispatchEvent(new Event("redriven"));
      }
    } catch {
      place.textContent = "The API cannot be reached at the moment. Try again.";
      button.disabled = false;
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
  document.addEventListener("htmx:error", ({ target }) => {
    if (target.id === "dead-letters") target.textContent = "The API cannot be reached at the moment. Load this page again.";
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => document.querySelectorAll(".chart.large").forEach(draw));
  setInterval(age, 10000);
  age();
  drawAll();
})();
