// The Runs page: asks the server once a second what is new, and changes only that.
const part = name => document.querySelector(`[data-part="${name}"]`);
const fill = (sentence, gaps) => sentence.replace(/{(\w+)}/g, (_, name) => gaps[name]);
const remember = (key, value) => { try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* keeps nothing */ } };
const recall = (key, usual) => { try { return JSON.parse(localStorage.getItem(key)) ?? usual; } catch { return usual; } };
const made = (tag, look, ...inside) => {
  const element = document.createElement(tag);
  Object.entries(look || {}).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...inside);
  return element;
};
const page = document.title;
const places = [...acts, 'opened', 'renaming', 'charts', 'told', 'tell', 'console-box', 'note textarea', 'new-name input'].map(id => `#${id}`)
  .concat(['line', 'status', 'ways', 'samples', 'noted'].map(name => `[data-part="${name}"]`));
let run = readRun() || '', at = '', log = null, curves = null, timer = null, asking = false, again = false, ended = null;

// Asking ------------------------------------------------------------------------------------------------------------

async function look(fresh) {
  if (asking) { again = again || fresh || 'soon'; return; }
  if (!element.isConnected) return curves?.stop();
  clearTimeout(timer);
  // What is told is told once. Each kind of part has a script of its own, and they come in any order.
  if (!places.every(place => document.querySelector(place))) { timer = setTimeout(look, 20); return; }
  asking = true;
  curves ||= curvesIn(document.getElementById('charts'), words, () => look());
  const wanted = run;
  let answer = null;
  try {
    answer = await server.news({run, at, log, fresh: fresh === true, curves: curves?.asked()});
  } catch (error) {
    if (!(error instanceof TypeError) && !/fetch|network|server/i.test(String(error))) console.error(error);
  }
  say_away(!answer);
  try {
    if (answer && wanted === run) show(answer);
  } catch (error) { console.error(error); }
  asking = false;
  const soon = again;
  again = false;
  if (soon) look(soon === true);
  else timer = setTimeout(look, document.hidden ? 3000 : 1000);
}

function show(news) {
  const {parts} = news;
  if (log !== null && 'console' in parts) log = news.at;
  if (news.run !== run || !opened) open(news.run);
  else if (!answered) trigger('open', {run}); // one that came while another was under way was dropped, or its answer lost
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === 'string' && !['tab', 'ended', 'console'].includes(name)) redraw(name, value);
  }
  if ('acts' in parts) acts.forEach(act => document.getElementById(act)?.toggleAttribute('data-on', parts.acts.includes(act)));
  if ('tab' in parts) document.title = parts.tab ? `${parts.tab} · Atelier` : page;
  if ('console' in parts) print(parts.console);
  if ('ended' in parts) tell(parts.ended);
  document.querySelector('.tell')?.toggleAttribute('data-on', ended === '');
  table(parts);
  curves?.open(news.run);
  curves?.update({end: parts.end, held: parts.held, warnings: parts.warnings, curves: news.curves});
  at = news.at; // at last: what could not be shown is sent again
}

let opened = false, answered = false;
function open(name) {
  const other = name !== run;
  run = name;
  opened = true;
  answered = false;
  ended = null;
  log = document.getElementById('console-box')?.open ? '' : null;
  // It can be worked on as soon as the server has said that the buttons are for this run.
  document.getElementById('opened').inert = true;
  document.getElementById('renaming')?.removeAttribute('data-on');
  document.querySelectorAll('#runs a[data-run]').forEach(point_out);
  if (!name) document.title = page;
  trigger('open', {run: name});
  if (other) curves?.open(name);
}
window.addEventListener('atelier-opened', event => {
  if (!element.isConnected) return;
  answered = (event.detail || '') === run; // else it is the answer for the run before
  const place = document.getElementById('opened');
  place.inert = !answered;
  place.toggleAttribute('data-on', Boolean(run));
});
function choose(name) {
  if (name === run) return look(true);
  document.getElementById('opened').inert = true; // until the buttons are for this one
  if (name) writeRun(name);
  run = name;
  at = '';
  opened = false;
  look(true);
}
window.addEventListener('atelier-look', event => {
  if (!element.isConnected) return;
  if (event.detail === null || event.detail === undefined) return look(true);
  if (event.detail === '' && readRun()) history.replaceState(null, '', new URL('./runs', document.baseURI));
  choose(event.detail);
});
document.addEventListener('visibilitychange', () => { if (!document.hidden && element.isConnected) look(); });

function redraw(name, html) {
  const place = part(name);
  if (!place) return;
  const scrolled = [...place.querySelectorAll('.table')].map(each => each.scrollTop);
  place.innerHTML = html;
  place.querySelectorAll('.table').forEach((each, i) => { each.scrollTop = scrolled[i] || 0; });
  if (name === 'line') hold_place(place);
}
function say_away(away) {
  const place = document.getElementById('away');
  if (place) place.textContent = away ? words.away : '';
}

// The line: whoever moves a run with the keyboard is kept at its button, where it now is.
let pressed = null;
document.addEventListener('click', event => {
  const button = event.target.closest('ol.line button[data-act]');
  if (!button || !element.isConnected) return;
  pressed = {...button.dataset, until: Date.now() + 5000};
  trigger('rearrange', {run: pressed.run, act: pressed.act});
});
function hold_place(place) {
  const here = document.activeElement;
  if (!pressed || Date.now() > pressed.until || !(here === document.body || place.contains(here))) return;
  const mine = [...place.querySelectorAll('button[data-act]:enabled')].filter(each => each.dataset.run === pressed.run);
  (mine.find(each => each.dataset.act === pressed.act) || mine[0])?.focus();
}
// A click on a name opens the run in place; with a modifier key it is the plain link that it is.
document.addEventListener('click', event => {
  const link = event.target.closest('a[data-run]');
  if (!link || !element.isConnected || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(link.dataset.run);
});

// The table ---------------------------------------------------------------------------------------------------------

const sorted = recall('atelier.runs', {by: 5, down: true}), rows = new Map(), ticked = new Set();
let order = [];
const search = made('input', {type: 'search', id: 'search-runs', placeholder: words.search, 'aria-label': words.search});
const comparing = made('a', {class: 'way', id: 'compare-runs', 'aria-disabled': 'true'}, words.compare);
const nobody = made('p', {class: 'hint', hidden: ''}, words.no_match);
const body = made('tbody');
const columns = heads.map(([name, counts], i) => {
  const button = made('button', {type: 'button'}, words[`${name}_head`], made('i', {'aria-hidden': 'true'}));
  button.addEventListener('click', () => {
    sorted.down = sorted.by === i ? !sorted.down : i > 1;
    sorted.by = i;
    remember('atelier.runs', sorted);
    arrange();
  });
  return made('th', {scope: 'col', ...(counts ? {class: 'number'} : {})}, button);
});
const everything = made('div', {class: 'list', hidden: ''},
  made('div', {class: 'tools'}, search, comparing),
  made('div', {class: 'table runs'}, made('table', {}, made('thead', {}, made('tr', {}, made('td', {class: 'pick'}), ...columns)), body)), nobody);
part('runs').replaceChildren(everything);
search.addEventListener('input', arrange);
const clear = made('p', {id: 'away', class: 'away', role: 'status'});
element.append(clear);

function point_out(link) {
  link.toggleAttribute('aria-current', link.dataset.run === run);
  if (link.dataset.run === run) link.setAttribute('aria-current', 'true');
}
function table(parts) {
  const changed = Object.keys(parts).filter(name => name.startsWith('row:'));
  changed.forEach(name => draw_row(name.slice(4), parts[name]));
  if ('order' in parts) {
    order = parts.order;
    [...rows.keys()].filter(name => !order.includes(name)).forEach(name => { rows.get(name).line.remove(); rows.delete(name); ticked.delete(name); });
    everything.hidden = !order.length;
    part('none').hidden = Boolean(order.length);
    count_ticks();
  }
  if ('order' in parts || changed.length) arrange();
}
function draw_row(name, {cells, by, words: said}) {
  let row = rows.get(name);
  if (!row) {
    const box = made('input', {type: 'checkbox', 'aria-label': fill(words.tick, {name})});
    box.addEventListener('change', () => { box.checked ? ticked.add(name) : ticked.delete(name); count_ticks(); });
    const line = made('tr', {'data-name': name}, made('td', {class: 'pick'}, box),
      ...heads.map(([, counts]) => made('td', counts ? {class: 'number'} : {})));
    rows.set(name, row = {line, shown: []});
  }
  cells.forEach((html, i) => { if (row.shown[i] !== html) row.line.children[i + 1].innerHTML = row.shown[i] = html; });
  row.line.querySelectorAll('a[data-run]').forEach(point_out);
  row.by = by;
  row.said = said;
}
function arrange() {
  const way = sorted.down ? -1 : 1, wanted = search.value.trim().toLowerCase().split(/\s+/);
  const compare = (a, b) => {
    const [x, y] = [rows.get(a)?.by[sorted.by], rows.get(b)?.by[sorted.by]];
    if (x === y || x === undefined || y === undefined) return order.indexOf(a) - order.indexOf(b);
    if (x === null || y === null) return x === null ? 1 : -1; // what has no value comes last
    return (x < y ? -1 : 1) * way;
  };
  const now = [...rows.keys()].sort(compare);
  now.forEach((name, i) => {
    const {line, said} = rows.get(name);
    if (body.children[i] !== line) body.insertBefore(line, body.children[i] || null);
    line.hidden = !wanted.every(word => said.includes(word));
  });
  nobody.hidden = now.some(name => !rows.get(name).line.hidden) || !now.length;
  columns.forEach((column, i) => {
    column.setAttribute('aria-sort', i !== sorted.by ? 'none' : sorted.down ? 'descending' : 'ascending');
  });
}
function count_ticks() {
  const enough = ticked.size > 1;
  comparing.textContent = enough ? fill(words.compare_many, {n: ticked.size}) : words.compare;
  comparing.setAttribute('aria-disabled', String(!enough));
  if (enough) comparing.href = new URL(['./compare', ...[...ticked].map(encodeURIComponent)].join('/'), document.baseURI);
  else comparing.removeAttribute('href');
}

// What the process printed ------------------------------------------------------------------------------------------

let printed = '';
const box = () => document.getElementById('console-box');
function print(text) {
  printed = text;
  const field = document.getElementById('filter-log'), wanted = field.value.toLowerCase();
  const every = printed ? printed.split('\n') : [], found = every.filter(each => each.toLowerCase().includes(wanted));
  const place = box().querySelector('pre'), frame = place.parentElement;
  place.textContent = found.length ? found.join('\n') : every.length ? words.no_line : words.nothing_printed;
  document.getElementById('lines').textContent = wanted && every.length ? fill(words.lines, {n: found.length, total: every.length}) : '';
}
document.addEventListener('toggle', event => {
  if (event.target !== box() || !element.isConnected) return;
  log = box().open ? '' : null;
  const field = document.getElementById('filter-log');
  field.placeholder = words.filter;
  field.setAttribute('aria-label', words.filter);
  if (box().open) look();
}, true);
document.addEventListener('input', event => { if (event.target.id === 'filter-log') print(printed); });
document.addEventListener('click', async event => {
  const button = event.target.closest('#console-box button[data-file]');
  if (!button || !element.isConnected) return;
  button.disabled = true;
  try {
    const name = run, pieces = [];
    for (let begin = 0, sent = null; sent === null || sent.length; begin += sent.length) {
      const answer = await server.piece({run: name, file: button.dataset.file, begin});
      sent = Uint8Array.from(atob(answer.base64), letter => letter.charCodeAt(0));
      pieces.push(sent);
    }
    const link = made('a', {download: `${name}-${files[button.dataset.file]}`, href: URL.createObjectURL(new Blob(pieces))});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } finally { button.disabled = false; }
});

// When it is done ---------------------------------------------------------------------------------------------------

const wanted = () => recall('atelier.tell', false);
function toast(sentence) {
  const place = document.getElementById('told');
  const close = made('button', {type: 'button', 'aria-label': words.close}, '×');
  close.addEventListener('click', () => place.replaceChildren());
  place.replaceChildren(sentence, close);
}
function tell(said) {
  document.getElementById('tell').checked = wanted();
  const was = ended;
  ended = said;
  if (was !== '' || !said || !wanted()) return;
  if (window.Notification?.permission === 'granted') {
    try { new Notification('Atelier', {body: said, tag: run}); return; } catch { /* a telephone allows them to workers only */ }
  }
  toast(said);
}
document.addEventListener('change', async event => {
  if (event.target.id !== 'tell' || !element.isConnected) return;
  remember('atelier.tell', event.target.checked);
  if (event.target.checked && window.Notification?.permission === 'default') await Notification.requestPermission();
  if (event.target.checked && window.Notification?.permission !== 'granted') toast(words.blocked);
});
look();
