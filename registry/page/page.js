'use strict';
(() => {
  const root = document.documentElement;
  const live = 'live' in root.dataset;
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const tip = byId('tip');
  root.classList.add('js');

  // What the reader has chosen, kept when the server sends a section anew: sorting by table, plots by chart, hidden rows.
  const chosen = {sort: new Map(), plot: new Map(), hidden: new Set(), filter: ''};

  // A part lies in the page, or the server has it.
  async function part(id) {
    const template = byId('part:' + id);
    if (template) return template.innerHTML;
    if (!live) return '<p>This file does not hold it.</p>';
    const answer = await fetch('part/' + encodeURIComponent(id), {cache: 'no-cache'});
    return answer.ok ? answer.text() : '<p>The server does not have it any more.</p>';
  }

  // Rows.
  const wanted = (name) => !chosen.filter || name.toLowerCase().includes(chosen.filter);

  function showRows(within = document) {
    for (const element of all('[data-row]', within)) {
      const name = element.dataset.row;
      const match = wanted(name);
      if (element instanceof SVGElement) {
        element.classList.toggle('faded', !match || (element.classList.contains('series') && chosen.hidden.has(name)));
      } else {
        element.hidden = !match;
        if (element.classList.contains('legend')) element.setAttribute('aria-pressed', String(!chosen.hidden.has(name)));
      }
    }
  }

  function filterBy(text) {
    chosen.filter = text.trim().toLowerCase();
    showRows();
    const rows = all('table.results tbody tr');
    byId('announcement').textContent =
        chosen.filter ? rows.filter((row) => !row.hidden).length + ' of ' + rows.length + ' rows match' : '';
  }

  // Tables. Rows without a value stay at the end, whichever way.
  function sortBy(table, column, descending) {
    const body = table.tBodies[0];
    const key = (row) => row.cells[column].dataset.sort ?? '';
    const number = (text) => (text.trim() === '' ? NaN : Number(text));
    const rows = Array.from(body.rows);
    const numeric = rows.every((row) => key(row) === '' || !Number.isNaN(number(key(row))));
    const sign = descending ? -1 : 1;
    rows.sort((one, other) => {
      const a = key(one), b = key(other);
      if (a === '' || b === '') return (a === '') - (b === '');
      return sign * (numeric ? number(a) - number(b) : a.localeCompare(b, undefined, {numeric: true}));
    });
    body.append(...rows);
    all('thead th', table).forEach((head, index) => {
      if (index === column) head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    });
  }

  const placeOf = (table) => table.closest('section').id + '/' + table.className;

  function sortOnClick(button) {
    const head = button.closest('th');
    const table = head.closest('table');
    const before = head.getAttribute('aria-sort');
    // Scores are first asked for from the top, names from A.
    const descending = before === null ? !head.classList.contains('name') : before === 'ascending';
    chosen.sort.set(placeOf(table), [head.cellIndex, descending]);
    sortBy(table, head.cellIndex, descending);
  }

  // Plots.
  async function choosePlot(chart, id) {
    const body = chart.querySelector('.chart-body');
    body.innerHTML = await part(id);
    showRows(body);
    makeReadable(body);
  }

  // "low high from to linear factor" of an axis, as numbers.
  function axisOf(text) {
    const [low, high, from, to, kind, factor] = text.split(' ');
    const [l, h, f, t] = [low, high, from, to].map(Number);
    const log = kind === 'log';
    return {
      from: f, to: t,
      value: (place) => {
        const part = (place - f) / (t - f);
        return Number(factor) * (log ? l * Math.pow(h / l, part) : l + part * (h - l));
      },
    };
  }

  // Places of a curve, from the path that is drawn: "M0 12l3-4 5 6", in tenths.
  function placesOf(path) {
    const numbers = path.getAttribute('d').match(/-?\d+/g).map(Number);
    const places = [];
    let x = 0, y = 0;
    for (let i = 0; i + 1 < numbers.length; i += 2) {
      x = i ? x + numbers[i] : numbers[i];
      y = i ? y + numbers[i + 1] : numbers[i + 1];
      places.push([x / 10, y / 10]);
    }
    return places;
  }

  function nearest(places, x) {
    let low = 0, high = places.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (places[middle][0] <= x) low = middle; else high = middle;
    }
    return Math.abs(places[low][0] - x) <= Math.abs(places[high][0] - x) ? places[low] : places[high];
  }

  const short = (value) => {
    const size = Math.abs(value);
    if (size >= 1e4 && size < 1e15) return Math.round(value).toLocaleString('en').replace(/,/g, ' ');
    return size !== 0 && size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  };

  function makeReadable(within) {
    for (const plot of all('svg.curves', within)) {
      const x = axisOf(plot.dataset.x), y = axisOf(plot.dataset.y);
      const curves = all('.series', plot).flatMap((series) => {
        const path = series.querySelector('path.mean');
        return path ? [{series, name: series.dataset.row, places: placesOf(path)}] : [];
      });
      if (!curves.length) continue;
      plot.setAttribute('tabindex', '0');
      let cursor = null;
      const hide = () => { cursor?.remove(); cursor = null; tip.hidden = true; };
      const read = (place) => {
        const at = Math.min(Math.max(place, x.from), x.to);
        if (!cursor) {
          cursor = document.createElementNS('http://www.w3.org/2000/svg', 'path');
          cursor.setAttribute('class', 'cursor');
          plot.append(cursor);
        }
        cursor.setAttribute('d', 'M' + at + ' ' + y.from + 'V' + y.to);
        const lines = curves.filter((curve) => !curve.series.classList.contains('faded'))
            .map((curve) => ({name: curve.name, y: nearest(curve.places, at)[1]}))
            .sort((one, other) => one.y - other.y);
        tip.replaceChildren();
        const head = document.createElement('b');
        head.textContent = short(x.value(at)) + ' ' + plot.dataset.xLabel;
        tip.append(head);
        for (const line of lines.slice(0, 12)) {
          const row = document.createElement('div');
          row.className = 'line';
          for (const text of [line.name, short(y.value(line.y))]) row.append(Object.assign(document.createElement('span'), {textContent: text}));
          tip.append(row);
        }
        if (lines.length > 12) tip.append('and ' + (lines.length - 12) + ' more');
        tip.hidden = false;
        const box = plot.getBoundingClientRect();
        const scale = box.width / plot.viewBox.baseVal.width;
        const left = box.left + at * scale;
        tip.style.left = Math.max(8, left + 14 + tip.offsetWidth > innerWidth ? left - tip.offsetWidth - 14 : left + 14) + 'px';
        tip.style.top = Math.max(8, Math.min(box.top + 10, innerHeight - tip.offsetHeight - 8)) + 'px';
        plot.dataset.at = String(at);
      };
      plot.addEventListener('pointermove', (event) => {
        const box = plot.getBoundingClientRect();
        read((event.clientX - box.left) * plot.viewBox.baseVal.width / box.width);
      });
      plot.addEventListener('pointerleave', hide);
      plot.addEventListener('blur', hide);
      plot.addEventListener('keydown', (event) => {
        const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (event.key === 'Escape') hide();
        if (!step) return;
        event.preventDefault();
        read(Number(plot.dataset.at ?? x.from) + step * (x.to - x.from) / 40);
      });
    }
  }

  // Cells.
  const dialog = byId('details');

  async function open(id) {
    byId('details-body').innerHTML = await part(id);
    const title = dialog.querySelector('h2');
    if (title) dialog.setAttribute('aria-label', title.textContent);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  // After the page has come, and after a section of it has come anew.
  function enhance(within) {
    for (const table of all('table', within)) {
      const section = table.closest('section');
      const sort = section && chosen.sort.get(placeOf(table));
      if (sort) sortBy(table, ...sort);
    }
    for (const chart of all('.chart', within)) {
      const id = chosen.plot.get(chart.id);
      const select = chart.querySelector('select');
      if (id && select && Array.from(select.options).some((option) => option.value === id)) {
        select.value = id;
        choosePlot(chart, id);
      }
    }
    showRows(within);
    makeReadable(within);
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) { if (event.target === dialog) dialog.close(); return; }
    if (button.classList.contains('sort')) sortOnClick(button);
    if (button.classList.contains('open')) open(button.dataset.part);
    if (button.classList.contains('close')) dialog.close();
    if (button.classList.contains('legend')) {
      const name = button.dataset.row;
      if (!chosen.hidden.delete(name)) chosen.hidden.add(name);
      showRows();
    }
  });
  document.addEventListener('change', (event) => {
    const chart = event.target.closest('.chart');
    if (!chart || event.target.tagName !== 'SELECT') return;
    chosen.plot.set(chart.id, event.target.value);
    choosePlot(chart, event.target.value);
  });
  byId('filter').addEventListener('input', (event) => filterBy(event.target.value));
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || dialog.open) return;
    event.preventDefault();
    byId('filter').focus();
  });

  enhance(document);
  window.silcPage = {enhance, part};
  if (live) follow();

  // Asks the server what has changed, and for the sections that have.
  async function follow() {
    let tag = '';
    let known = null;
    for (let first = true;; first = false) {
      if (!first) await new Promise((done) => setTimeout(done, document.hidden ? 10000 : 2000));
      try {
        const answer = await fetch('state', {cache: 'no-store', headers: tag ? {'If-None-Match': tag} : {}});
        if (answer.status === 304) continue;
        if (!answer.ok) continue;
        tag = answer.headers.get('ETag') ?? '';
        const state = await answer.json();
        if (known) await update(known, state.sections);
        known = state.sections;
      } catch {
        // The server has ended, or the network has; it may come back.
      }
    }
  }

  async function update(before, now) {
    for (const [id, hash] of now) {
      if (before.some(([other, same]) => other === id && same === hash)) continue;
      const html = await part('section:' + id);
      const place = byId(id);
      if (place && (id === 'head' || id === 'navigation')) {
        place.innerHTML = html;
        continue;
      }
      const holder = document.createElement('template');
      holder.innerHTML = html;
      const fresh = holder.content.firstElementChild;
      if (!fresh) continue;
      if (place) {
        place.replaceWith(fresh);
      } else {
        const index = now.findIndex(([other]) => other === id);
        const next = now.slice(index + 1).map(([other]) => byId(other)).find((element) => element?.tagName === 'SECTION');
        if (next) next.before(fresh); else byId('main').append(fresh);
      }
      enhance(fresh);
    }
    for (const section of all('main > section')) if (!now.some(([id]) => id === section.id)) section.remove();
  }
})();
