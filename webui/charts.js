// Curves of a run as SVG, drawn from as many numbers as a screen can show. What the reader chose stays in the browser.
function curvesIn(host, words, refresh) {
  const KEPT = 'atelier.curves';
  const tongue = navigator.language.startsWith('fr') ? 'fr-FR' : 'en-US';
  const whole = new Intl.NumberFormat(tongue, {maximumFractionDigits: 0});
  const three = new Intl.NumberFormat(tongue, {maximumSignificantDigits: 3});
  const tiny = new Intl.NumberFormat(tongue, {maximumSignificantDigits: 3, notation: 'scientific'});
  const exact = new Intl.NumberFormat(tongue, {minimumSignificantDigits: 3, maximumSignificantDigits: 3});
  const short = y => (y !== 0 && (Math.abs(y) < 1e-4 || Math.abs(y) >= 1e7) ? tiny : three).format(y).replace('E', 'e');
  const size = y => {
    const [unit, scale] = [[words.gigabytes, 1e9], [words.megabytes, 1e6], [words.kilobytes, 1e3]].find(each => y >= each[1]) || ['', 1];
    return `${three.format(y / scale)}\u00a0${unit}`;
  };
  const fill = (sentence, gaps) => sentence.replace(/{(\w+)}/g, (_, name) => gaps[name]);
  const charts = [
    {key: 'loss', say: short, log: true, large: true},
    {key: 'learning_rate', say: short, zero: true},
    {key: 'gradient_norm', say: short, zero: true, log: true},
    {key: 'tokens_per_second', say: y => whole.format(y), zero: true},
    {key: 'memory_bytes', say: size, zero: true},
  ];
  const kept = {smoothing: 0, log: false, zoom: null, ...read()};
  const empty = () => ({version: '', size: 1, begin: 0, step: []});
  let run = '', data = empty(), held = [], warnings = [], end = 1, at = null, active = null, drawing = false, latest = '';

  function read() {
    try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; }
  }
  function keep() {
    try { localStorage.setItem(KEPT, JSON.stringify(kept)); } catch { /* a browser that keeps nothing */ }
  }
  const zoomed = () => kept.zoom && kept.zoom.run === run ? kept.zoom : null;
  const span = () => zoomed() ? [zoomed().low, zoomed().high] : [0, Math.max(end, 1)];

  // The frame is made once; afterwards only numbers and paths change, so nothing moves or flickers.
  function make(tag, look, inside) {
    const made = document.createElement(tag);
    Object.entries(look || {}).forEach(([name, value]) => made.setAttribute(name, value));
    (inside || []).forEach(each => made.append(each));
    return made;
  }
  function path(look) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    made.setAttribute('class', look);
    return made;
  }
  function frame(chart) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 1000 1000');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    chart.lines = Object.fromEntries(['grid', 'line raw prussian', 'line prussian', 'line ochre', 'dot ochre'].map(look => [look, path(look)]));
    svg.append(...Object.values(chart.lines));
    chart.svg = svg;
    chart.y = make('div', {class: 'y', 'aria-hidden': 'true'});
    chart.x = make('div', {class: 'x', 'aria-hidden': 'true'});
    chart.line = make('i', {class: 'at'});
    chart.tip = make('b', {class: 'tip', 'aria-hidden': 'true'});
    chart.taken = make('i', {class: 'taken'});
    chart.marks = make('div', {class: 'marks'});
    chart.nothing = make('p');
    chart.area = make('div', {class: 'area', tabindex: '0', role: 'slider', 'data-chart': chart.key},
      [svg, chart.taken, chart.line, chart.tip, chart.nothing]);
    chart.keys = make('span', {class: 'keys'});
    chart.name = words[chart.key];
    const caption = make('figcaption', {}, [make('span', {}, [chart.name]), chart.keys]);
    const plot = make('div', {class: 'plot'}, [chart.y, chart.area, chart.marks]);
    listen(chart);
    return make('figure', {class: `chart ${chart.large ? '' : 'little'}`}, [caption, plot, chart.x]);
  }

  const slider = make('input', {type: 'range', min: 0, max: 0.98, step: 0.01, id: 'smoothing'});
  const tick = make('input', {type: 'checkbox', id: 'log-scale'});
  const back = make('button', {type: 'button', id: 'whole-run'}, [words.whole]);
  host.append(
    make('div', {class: 'tools'}, [
      make('label', {}, [words.smoothing, slider]), make('label', {}, [tick, words.log]), back,
      make('small', {}, [words.how]),
    ]),
    frame(charts[0]),
    make('div', {class: 'small'}, charts.slice(1).map(frame)),
  );
  slider.value = kept.smoothing;
  tick.checked = kept.log;
  slider.addEventListener('input', () => { kept.smoothing = Number(slider.value); keep(); draw(); });
  tick.addEventListener('change', () => { kept.log = tick.checked; keep(); draw(); });
  back.addEventListener('click', () => look(null));

  function look(window) {
    kept.zoom = window && {run, low: window[0], high: window[1]};
    at = null;
    keep();
    draw();
    refresh();
  }
  function closer(by, around) {
    const [low, high] = span();
    const width = Math.max((high - low) * by, 2);
    if (width >= Math.max(end, 1)) return look(null);
    const middle = around ?? (low + high) / 2;
    const left = Math.min(Math.max(middle - (middle - low) / (high - low) * width, 0), end - width);
    look([left, left + width]);
  }
  function aside(share) {
    const [low, high] = span();
    const by = Math.min(Math.max((high - low) * share, -low), end - high);
    if (by) look([low + by, high + by]);
  }

  function listen(chart) {
    let from = null;
    const step = event => {
      const box = chart.area.getBoundingClientRect();
      const [low, high] = span();
      return low + Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * (high - low);
    };
    const left = x => (x - span()[0]) / (span()[1] - span()[0]) * 100;
    chart.area.addEventListener('pointerdown', event => {
      if (event.button) return;
      from = {x: event.clientX, step: step(event)};
      chart.area.setPointerCapture(event.pointerId);
    });
    chart.area.addEventListener('pointermove', event => {
      point(chart, nearest(step(event)));
      if (!from) return;
      const [low, high] = [from.step, step(event)].sort((a, b) => a - b);
      chart.taken.style.cssText = `left:${left(low)}%;width:${left(high) - left(low)}%;display:block`;
    });
    const let_go = event => {
      chart.taken.style.display = '';
      const [low, high] = [from ? from.step : 0, step(event)].sort((a, b) => a - b);
      if (from && event.type === 'pointerup' && Math.abs(event.clientX - from.x) > 6) look([low, Math.max(high, low + 1)]);
      from = null;
    };
    chart.area.addEventListener('pointerup', let_go);
    chart.area.addEventListener('pointercancel', let_go);
    chart.area.addEventListener('dblclick', () => look(null));
    chart.area.addEventListener('pointerleave', () => { if (document.activeElement !== chart.area) point(null, null); });
    chart.area.addEventListener('focus', () => { if (at === null && chart.area.matches(':focus-visible')) point(chart, data.step.length - 1); });
    chart.area.addEventListener('blur', () => point(null, null));
    chart.area.addEventListener('keydown', event => {
      const here = at ?? data.step.length - 1, far = Math.max(1, Math.round(data.step.length / 10));
      const act = {
        ArrowLeft: () => event.shiftKey ? aside(-.25) : point(chart, here - 1),
        ArrowRight: () => event.shiftKey ? aside(.25) : point(chart, here + 1),
        PageDown: () => point(chart, here - far), PageUp: () => point(chart, here + far),
        Home: () => point(chart, 0), End: () => point(chart, data.step.length - 1),
        '+': () => closer(.5, data.step[here]), '=': () => closer(.5, data.step[here]),
        '-': () => closer(2, data.step[here]), Escape: () => look(null), '0': () => look(null),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
  }
  function nearest(step) {
    let low = 0, high = data.step.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.step[middle] < step) low = middle + 1; else high = middle;
    }
    return low > 0 && step - data.step[low - 1] < data.step[low] - step ? low - 1 : low;
  }
  function point(chart, index) {
    active = chart;
    at = index === null || !data.step.length ? null : Math.min(Math.max(index, 0), data.step.length - 1);
    if (!drawing) charts.forEach(show);
  }

  function draw() {
    if (drawing || !host.clientWidth) return; // as soon as there is room for it, the observer below draws
    drawing = true;
    requestAnimationFrame(() => { drawing = false; charts.forEach(plot); charts.forEach(show); back.disabled = !zoomed(); });
  }
  function plot(chart) {
    const [low, high] = span(), values = data[chart.key] || {mean: []};
    const inside = x => x >= low && x <= high;
    const logs = kept.log && chart.log;
    const good = y => y !== null && y !== undefined && (!logs || y > 0);
    const seen = [];
    data.step.forEach((x, i) => {
      if (inside(x)) [values.mean[i], values.a?.[i], values.b?.[i]].forEach(y => good(y) && seen.push(y));
    });
    const measured = chart.large ? held.filter(([x, y]) => inside(x) && good(y)) : [];
    measured.forEach(([, y]) => seen.push(y));
    let least = Infinity, most = -Infinity;
    seen.forEach(y => { if (y < least) least = y; if (y > most) most = y; });
    const marks = !seen.length ? [0, 1] : logs ? powers(least, most, chart.large ? 6 : 3)
      : ticks(chart.zero ? Math.min(0, least) : least, most, chart.large ? 5 : 2);
    const scale = logs ? Math.log : y => y;
    const [floor, top] = [scale(Math.min(marks[0], seen.length ? least : 0)), scale(Math.max(marks.at(-1), seen.length ? most : 1))];
    chart.px = x => (x - low) / (high - low) * 1000;
    chart.py = y => (top - scale(y)) / (top - floor || 1) * 1000;
    const raw = [], mean = [];
    data.step.forEach((x, i) => {
      (values.a ? [values.a[i], values.b[i]] : [values.mean[i]]).forEach(y => good(y) && raw.push([x, y]));
    });
    smooth(values.mean, kept.smoothing).forEach((y, i) => good(y) && mean.push([data.step[i], y]));
    const draws = {
      grid: seen.length ? marks.map(y => `M0 ${chart.py(y).toFixed(1)}H1000`).join('') : '',
      'line raw prussian': kept.smoothing || values.a ? lined(chart, raw) : '',
      'line prussian': lined(chart, mean),
      'line ochre': lined(chart, measured, false),
      'dot ochre': measured.length > 60 ? '' : measured.map(([x, y]) => `M${chart.px(x).toFixed(1)} ${chart.py(y).toFixed(1)}h0`).join(''),
    };
    Object.entries(draws).forEach(([look, d]) => chart.lines[look].setAttribute('d', d));
    chart.svg.style.overflow = zoomed() ? 'hidden' : 'visible';
    label(chart.y, seen.length ? marks : [], y => `top:${chart.py(y) / 10}%`, written(marks, chart.say));
    const across = !seen.length ? [] : chart.large
      ? [...new Set(ticks(low, high, host.clientWidth < 600 ? 3 : 6).filter(x => inside(x) && x === Math.round(x)))] : [Math.ceil(low), Math.floor(high)];
    label(chart.x, across, x => `left:${chart.px(x) / 10}%`, across.map(x => whole.format(x)));
    const nothing = seen.length || !chart.large || (zoomed() && data.step.length) ? '' : words.nothing;
    if (chart.nothing.textContent !== nothing) chart.nothing.textContent = nothing;
    const latest = last(values.mean);
    const told = chart.large ? [['prussian', words.training, latest], ['ochre', words.held_out, held.at(-1)?.[1]]] : [['', '', latest]];
    const keys = told.filter(each => each[2] !== undefined), names = JSON.stringify(keys.map(each => each[1]));
    if (chart.named !== names) chart.keys.replaceChildren(...keys.map(([look, name]) =>
      make('span', {class: look ? `key ${look}` : ''}, [name ? `${name} ` : '', make('b')])));
    chart.named = names;
    keys.forEach(([, , y], i) => {
      const said = chart.say === short && Math.abs(y) >= 1e-3 && Math.abs(y) < 1e3 ? exact.format(y) : chart.say(y);
      const place = chart.keys.children[i].querySelector('b');
      if (place.textContent !== said) place.textContent = said;
    });
    chart.area.setAttribute('aria-label', trend(chart, values.mean));
    chart.area.setAttribute('aria-valuemin', Math.round(low));
    chart.area.setAttribute('aria-valuemax', Math.round(high));
    if (chart.large) mark(chart, low, high);
  }
  function lined(chart, points, alone = true) {
    const d = points.map(([x, y]) => `${chart.px(x).toFixed(1)} ${chart.py(y).toFixed(1)}`).join('L');
    return points.length > 1 ? `M${d}` : points.length && alone ? `M${d}h0.01` : '';
  }
  function smooth(values, weight) {
    if (!weight) return values;
    let sum = 0, share = 0;
    return values.map(y => {
      if (y === null) return null;
      sum = sum * weight + y * (1 - weight);
      share = share * weight + 1 - weight;
      return sum / share;
    });
  }
  const last = values => values.findLast(y => y !== null);
  function trend(chart, values) {
    const numbers = values.filter(y => y !== null), part = Math.max(1, Math.round(numbers.length / 10));
    if (!numbers.length) return `${chart.name}: ${words.nothing}`;
    const mean = some => some.reduce((sum, y) => sum + y, 0) / some.length;
    const [first, then] = [mean(numbers.slice(0, part)), mean(numbers.slice(-part))];
    const change = Math.abs(then - first) <= .02 * Math.abs(first) ? words.level : then < first ? words.falls : words.rises;
    return `${chart.name}: ${fill(change, {from: chart.say(first), to: chart.say(then)})}`;
  }
  function label(place, marks, style, said) {
    while (place.children.length > marks.length) place.lastChild.remove();
    while (place.children.length < marks.length) place.append(make('span'));
    marks.forEach((mark, i) => {
      const here = place.children[i];
      here.style.cssText = style(mark);
      if (here.textContent !== said[i]) here.textContent = said[i];
    });
  }
  function mark(chart, low, high) {
    const by = new Map();
    warnings.forEach(([step, said]) => { if (step >= low && step <= high) by.set(step, [...(by.get(step) || []), said]); });
    const now = JSON.stringify([[...by], low, high]);
    if (chart.marked === now) return;
    chart.marked = now;
    chart.marks.replaceChildren(...[...by].map(([step, said]) => make('i', {class: 'mark', style: `left:${chart.px(step) / 10}%`}, [
      make('b', {tabindex: 0, role: 'img', title: said.join('\n'),
        'aria-label': `${fill(words.warning, {step: whole.format(step)})} ${said.join(' ')}`}, ['!'])])));
  }
  function show(chart) {
    const on = at !== null && at < data.step.length && chart.px;
    chart.line.style.display = on ? 'block' : '';
    chart.tip.style.display = on && active === chart ? 'block' : '';
    chart.area.setAttribute('aria-valuenow', data.step.length ? data.step[on ? at : data.step.length - 1] : 0);
    const said = on ? told(chart, at) : data.step.length ? told(chart, data.step.length - 1) : [words.nothing];
    chart.area.setAttribute('aria-valuetext', said.map(each => each.words || each).join(', '));
    if (!on) return;
    const place = chart.px(data.step[at]) / 10;
    chart.line.style.left = `${place}%`;
    if (active !== chart) return;
    chart.tip.classList.toggle('right', place > 50);
    chart.tip.style[place > 50 ? 'right' : 'left'] = `calc(${place > 50 ? 100 - place : place}% + 10px)`;
    chart.tip.style[place > 50 ? 'left' : 'right'] = 'auto';
    chart.tip.replaceChildren(...said.map(each => make('span', {class: each.look ? `key ${each.look}` : ''}, [each.words || each])));
  }
  function told(chart, i) {
    const values = data[chart.key], x = data.step[i], before = i ? data.step[i - 1] : x - data.size;
    const told = [fill(words.step, {step: whole.format(x)})];
    if (values && values.mean[i] !== null) {
      const extremes = values.a ? [values.a[i], values.b[i]].sort((a, b) => a - b) : [];
      const range = extremes.length && extremes[0] !== extremes[1]
        ? ` (${fill(words.range, {low: chart.say(extremes[0]), high: chart.say(extremes[1])})})` : '';
      const name = chart.large ? words.training : chart.name;
      told.push({look: chart.large ? 'prussian' : '', words: `${name} ${chart.say(values.mean[i])}${range}`});
    }
    const measured = chart.large && held.find(([step]) => step > before && step <= x);
    if (measured) told.push({look: 'ochre', words: `${words.held_out} ${chart.say(measured[1])}`});
    return told;
  }
  // Round numbers that enclose low..high, in `most` intervals or a few less.
  function ticks(low, high, most) {
    if (!(high > low)) high = low + (Math.abs(low) || 1);
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map(nice => nice * power).find(each => each >= rough * .999);
    const marks = [];
    for (let i = Math.floor(low / step + 1e-9); i <= Math.ceil(high / step - 1e-9); i++) marks.push(Number((i * step).toPrecision(12)));
    return marks;
  }
  function powers(low, high, most) {
    if (!(high > low)) [low, high] = [low / 2, low * 2];
    const marks = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power++) {
      [1, 2, 5].forEach(nice => marks.push(Number(`${nice}e${power}`)));
    }
    const enclosing = marks.filter((mark, i) => (marks[i + 1] ?? mark) > low && (marks[i - 1] ?? mark) < high);
    const every = Math.ceil(enclosing.length / most);
    return enclosing.filter((_, i) => i % every === 0);
  }
  // With as many decimals as tell their steps apart: 5.8, 5.825 is not 5.8, 5.83.
  function written(marks, say) {
    const step = marks[1] - marks[0], even = marks.every((y, i) => !i || Math.abs(y - marks[i - 1] - step) < step * 1e-6);
    const decimals = [0, 1, 2, 3].find(n => Math.abs(step * 10 ** n - Math.round(step * 10 ** n)) < 1e-6);
    if (!even || decimals === undefined || say === size || step >= 1e6) return marks.map(say);
    const alike = new Intl.NumberFormat(tongue, {minimumFractionDigits: decimals, maximumFractionDigits: decimals});
    return marks.map(y => alike.format(y));
  }

  const watched = new ResizeObserver(draw);
  watched.observe(host);
  return {
    // What the server needs to know in order to send only what is new.
    asked: () => ({version: data.version, size: data.size, begin: data.begin, next: data.begin + Math.max(data.step.length - 1, 0),
      window: zoomed() ? span() : null}),
    open(name) {
      if (name === run) return;
      run = name; data = empty(); held = []; warnings = []; at = null; latest = '';
    },
    update(news) {
      if (news.end !== undefined) end = Math.max(news.end, 1);
      if (news.held) held = news.held;
      if (news.warnings) warnings = news.warnings;
      const fresh = news.curves, sent = JSON.stringify(fresh);
      const nothing = sent === latest && !['end', 'held', 'warnings'].some(name => news[name] !== undefined);
      latest = sent;
      if (nothing) return; // the last point is always sent again: it may have grown
      if (fresh) {
        const same = fresh.version === data.version && fresh.size === data.size && fresh.begin === data.begin;
        const keepFirst = same ? fresh.from - fresh.begin : 0;
        const {version, size, begin, from, ...columns} = fresh;
        if (!same) at = null;
        const joined = {version, size, begin, step: [...data.step.slice(0, keepFirst), ...columns.step]};
        charts.forEach(({key}) => {
          joined[key] = Object.fromEntries(Object.entries(columns[key]).map(([kind, values]) =>
            [kind, [...(data[key]?.[kind] || []).slice(0, keepFirst), ...values]]));
        });
        data = joined;
      }
      draw();
    },
    stop: () => watched.disconnect(),
  };
}
