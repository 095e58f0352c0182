// What the models see: results by class, what is taken for what, test pictures with what each row makes of them, and
// how well each patch fits a word. `data` is what registry/gallery.h documents; everything from it enters as text.
'use strict';
function showGallery(root, data) {
  const h = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.flat().filter(child => child !== null && child !== undefined));
    return element;
  };
  const percent = value => value === null || value === undefined ? '–' : (100 * value).toFixed(1) + ' %';
  const points = value => (value > 0 ? '+' : value < 0 ? '−' : '±') + Math.abs(100 * value).toFixed(1);
  const count = (number, noun) => number + ' ' + noun + (number === 1 ? '' : 's');
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const baseline = Math.max(0, data.rows.findIndex(row => row.baseline));
  const rowName = row => data.rows[row].label;

  // Okabe and Ito's colours, then Tol's: told apart by the colour-blind, in light and dark. Names are always there, too.
  const colours = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0],
    [240, 228, 66], [136, 34, 85], [153, 153, 51], [68, 170, 153], [221, 204, 119], [102, 102, 102]];
  const css = colour => 'rgb(' + colour.join(' ') + ')';
  // Cividis (Nuñez, Anderton and Renslow 2018): brightness alone tells the values, for all readers.
  const heat = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 92, 109], [112, 113, 115], [138, 134, 120],
    [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];
  const heatAt = share => {
    const at = Math.min(Math.max(share, 0), 1) * (heat.length - 1), low = Math.min(Math.floor(at), heat.length - 2);
    return heat[low].map((value, c) => Math.round(value + (heat[low + 1][c] - value) * (at - low)));
  };

  // Rows whose pictures are shown side by side: the baseline and the last ones, unless chosen otherwise.
  const shown = new Set([baseline]);
  const hasPictures = row => data.evaluations.some(evaluation => evaluation.shown[row]);
  for (const wanted of [hasPictures, () => true])
    for (let row = data.rows.length - 1; row >= 0 && shown.size < 4; --row) if (wanted(row)) shown.add(row);
  const shownRows = () => data.rows.map((_, row) => row).filter(row => shown.has(row));
  const redraws = [];
  const redraw = () => redraws.forEach(draw => draw());
  // An element whose content follows the choice of rows.
  const following = (element, content) => {
    const draw = () => element.replaceChildren(...[content()].flat().filter(child => child !== null));
    redraws.push(draw);
    draw();
    return element;
  };

  const className = (evaluation, label) =>
    evaluation.classes && evaluation.classes[label] !== undefined ? evaluation.classes[label] : 'class ' + label;

  const rowChooser = () => {
    if (data.rows.length < 2) return null;
    const buttons = data.rows.map((row, index) => h('button', {
      type: 'button', class: 'chip', 'data-row': row.name, 'aria-pressed': String(shown.has(index)), onclick: event => {
        if (shown.has(index) && shown.size > 1) shown.delete(index); else shown.add(index);
        event.currentTarget.setAttribute('aria-pressed', String(shown.has(index)));
        redraw();
      }}, row.label + (row.baseline ? ' (baseline)' : '')));
    return h('div', {class: 'gallery-rows', role: 'group', 'aria-label': 'rows whose pictures are shown'},
             h('span', {}, 'Rows shown:'), buttons);
  };

  // ---- results by class

  const classTable = evaluation => {
    const results = evaluation.class_results;
    if (!results || results.every(row => row === null)) return null;
    const classes = Math.max(...results.filter(Boolean).map(row => row.length));
    const what = evaluation.kind === 'segmentation' ? 'intersection over union' : 'recall';
    const compared = data.rows.length > 1 && results[baseline] !== null;
    let order = compared ? 'change' : 'name';
    const change = label => Math.max(0, ...results.map((row, index) =>
      row === null || index === baseline || !results[baseline] || row[label] === null || results[baseline][label] === null
        ? 0 : Math.abs(row[label] - results[baseline][label])));
    const sorted = () => {
      const labels = [...Array(classes).keys()].filter(label => results.some(row => row && row[label] !== null && row[label] !== undefined));
      const by = {
        name: label => className(evaluation, label), change: label => -change(label),
        value: label => (results[baseline] || results.find(Boolean))[label] ?? 2,
      }[order];
      return labels.sort((a, b) => by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : a - b);
    };
    const cell = (row, label) => {
      const value = row === null || results[row] === null ? null : results[row][label] ?? null;
      if (value === null) return h('td', {class: 'number'}, '–');
      const base = row !== baseline && results[baseline] ? results[baseline][label] ?? null : null;
      return h('td', {class: 'number share', style: '--share:' + (100 * value).toFixed(1) + '%'}, percent(value),
               base === null ? null : h('small', {class: value > base ? 'up' : value < base ? 'down' : ''}, ' ' + points(value - base)));
    };
    const body = h('tbody');
    const draw = () => {
      const rows = shownRows();
      body.replaceChildren(...sorted().map(label => h('tr', {}, h('th', {scope: 'row'}, className(evaluation, label)),
        evaluation.class_sizes ? h('td', {class: 'number'}, String(evaluation.class_sizes[label] ?? 0)) : null,
        rows.map(row => cell(row, label)))));
    };
    redraws.push(draw);
    draw();
    const head = following(h('tr'), () => [h('th', {scope: 'col'}, 'class'),
      evaluation.class_sizes ? h('th', {scope: 'col', class: 'number'}, evaluation.kind === 'segmentation' ? 'pixels' : 'pictures') : null,
      ...shownRows().map(row => h('th', {scope: 'col', class: 'number'}, rowName(row)))]);
    const choice = h('select', {onchange: event => { order = event.target.value; draw(); }},
      compared ? h('option', {value: 'change'}, 'greatest change first') : null,
      h('option', {value: 'name'}, 'name'), h('option', {value: 'value'}, 'worst first'));
    return h('details', {class: 'gallery-part', open: classes <= 20},
      h('summary', {}, 'By class: ' + what),
      h('p', {class: 'hint'}, 'Means over seeds' + (compared ? '; small figures are points above or below the baseline.' : '.'),
        ' ', h('label', {}, 'Order: ', choice)),
      h('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'results by class'},
        h('table', {class: 'by-class'}, h('thead', {}, head), body)));
  };

  // ---- what is taken for what

  const confusionOf = (evaluation, row) => {
    const flat = evaluation.confusions[row], list = [];
    for (let i = 0; i + 2 < flat.length; i += 3) list.push({truth: flat[i], taken: flat[i + 1], count: flat[i + 2]});
    return list;
  };

  const confusionMatrix = (evaluation, row, classes, say) => {
    const unit = evaluation.kind === 'segmentation' ? ' pixels' : ' pictures';
    const counts = new Map(), totals = Array(classes).fill(0);
    for (const {truth, taken, count} of confusionOf(evaluation, row)) {
      counts.set(truth + ' ' + taken, count);
      totals[truth] += count;
    }
    const labels = [...Array(classes).keys()].filter(label => totals[label] > 0 || [...counts.keys()].some(key => key.endsWith(' ' + label)));
    const text = (truth, taken) => {
      const number = counts.get(truth + ' ' + taken) || 0;
      return className(evaluation, truth) + (truth === taken ? ' recognised: ' : ' taken for ' + className(evaluation, taken) + ': ')
        + number + ' of ' + totals[truth] + unit + (totals[truth] ? ' (' + percent(number / totals[truth]) + ')' : '');
    };
    const cells = [];
    const table = h('table', {class: 'confusion'},
      h('caption', {}, 'Rows are the truth, columns what ' + rowName(row) + ' takes it for, in percent of the row'),
      h('thead', {}, h('tr', {}, h('th'), labels.map(label => h('th', {scope: 'col'}, h('span', {}, className(evaluation, label)))))),
      h('tbody', {}, labels.map((truth, y) => h('tr', {}, h('th', {scope: 'row'}, className(evaluation, truth)),
        labels.map((taken, x) => {
          const share = totals[truth] ? (counts.get(truth + ' ' + taken) || 0) / totals[truth] : 0;
          const cell = h('td', {
            class: (truth === taken ? 'right' : 'wrong') + (share > 0.5 ? ' strong' : ''), style: '--strength:' + share.toFixed(3),
            tabindex: x === 0 && y === 0 ? '0' : '-1', title: text(truth, taken), 'aria-label': text(truth, taken),
            onfocus: () => say(text(truth, taken)), onmouseenter: () => say(text(truth, taken)),
          }, share >= 0.005 ? String(Math.round(100 * share)) : '');
          cells.push(cell);
          return cell;
        })))));
    table.addEventListener('keydown', event => {
      const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -labels.length, ArrowDown: labels.length}[event.key];
      const at = cells.indexOf(document.activeElement);
      if (step === undefined || at < 0 || !cells[at + step]) return;
      event.preventDefault();
      cells[at].tabIndex = -1;
      cells[at + step].tabIndex = 0;
      cells[at + step].focus();
    });
    return table;
  };

  const confusions = evaluation => {
    if (!evaluation.confusions || evaluation.confusions.every(row => row === null)) return null;
    const classes = Math.max(...evaluation.class_results.filter(Boolean).map(row => row.length));
    const whole = classes <= 32;
    const rows = data.rows.map((_, row) => row).filter(row => evaluation.confusions[row]);
    const readout = h('p', {class: 'readout', 'aria-live': 'polite'}, ' ');
    const place = h('div', {class: 'scroll'});
    const draw = row => {
      if (whole) {
        place.replaceChildren(confusionMatrix(evaluation, row, classes, text => { readout.textContent = text; }));
        return;
      }
      const list = confusionOf(evaluation, row).sort((a, b) => b.count - a.count).slice(0, 40);
      place.replaceChildren(h('table', {}, h('thead', {}, h('tr', {}, h('th', {}, 'is'), h('th', {}, 'taken for'), h('th', {class: 'number'}, evaluation.kind === 'segmentation' ? 'pixels' : 'pictures'))),
        h('tbody', {}, list.map(({truth, taken, count}) => h('tr', {}, h('td', {}, className(evaluation, truth)),
          h('td', {}, className(evaluation, taken)), h('td', {class: 'number'}, String(count)))))));
    };
    const start = rows.includes(shownRows().at(-1)) ? shownRows().at(-1) : rows[0];
    const choice = h('select', {onchange: event => { draw(Number(event.target.value)); readout.textContent = ' '; }},
      rows.map(row => h('option', {value: row, selected: row === start}, rowName(row))));
    draw(start);
    return h('details', {class: 'gallery-part', open: whole && classes <= 20},
      h('summary', {}, 'What is taken for what'),
      h('p', {class: 'hint'}, h('label', {}, 'Row: ', choice), ' All seeds together.', whole ? ' Arrow keys move from cell to cell.' : ' The most frequent of ' + classes + ' classes.'),
      place, whole ? readout : null);
  };

  // ---- pictures

  const groupText = (evaluation, group) => {
    const base = rowName(baseline), alone = data.rows.length === 1;
    if (evaluation.kind === 'segmentation') return {
      gained: 'Where another row gains most on ' + base, lost: 'Where another row loses most against ' + base,
      between: alone ? 'From the worst to the best' : 'The others, from the worst to the best'}[group];
    const retrieval = evaluation.kind === 'retrieval';
    const does = retrieval ? 'finds a caption of the picture’s own first' : 'is right', not = retrieval ? 'does not' : 'is not';
    return {gained: 'Another row ' + does + ', ' + base + ' ' + not, lost: base + ' ' + does + ', another row ' + not,
      wrong: alone ? 'Misses' : retrieval ? 'No row finds a caption of the picture’s own first' : 'All rows are wrong',
      right: alone ? 'Hits' : retrieval ? 'All rows find a caption of the picture’s own first' : 'All rows are right'}[group];
  };

  const captionOf = picture => picture.captions.length > 0 ? picture.captions[0] : '';
  const altOf = (evaluation, position) => {
    const picture = evaluation.pictures[position];
    return 'test picture ' + evaluation.chosen[position].index + (picture.label !== null && evaluation.classes ? ', ' + className(evaluation, picture.label) : '')
      + (captionOf(picture) ? ': ' + captionOf(picture) : '');
  };
  const sideOf = picture => Math.max(picture.width, picture.height) <= 64 ? 128 : Math.max(picture.width, picture.height);
  const sized = picture => {
    const scale = sideOf(picture) / Math.max(picture.width, picture.height);
    return {width: Math.round(picture.width * scale), height: Math.round(picture.height * scale)};
  };
  const image = (evaluation, position) => {
    const picture = evaluation.pictures[position];
    if (!picture) return h('div', {class: 'no-picture'}, 'no picture');
    return h('img', {src: picture.src, alt: altOf(evaluation, position), ...sized(picture), decoding: 'async'});
  };

  const guessLines = (evaluation, position) => {
    const truth = evaluation.pictures[position] ? evaluation.pictures[position].label : null;
    return shownRows().map(row => {
      const score = evaluation.scores[row] && evaluation.scores[row][position];
      if (!score) return null;
      const guesses = evaluation.shown[row] ? evaluation.shown[row][position].guesses : [];
      const best = guesses.find(guess => guess[0] === score.class);
      const p = best ? best[2] : null;
      const right = score.score > 0;
      const more = guesses.map(guess => className(evaluation, guess[0]) + ' ' + (guess[2] === null ? guess[1].toFixed(3) : percent(guess[2]))).join(', ');
      return h('li', {class: right ? 'hit' : 'miss', title: more || null},
        h('span', {class: 'mark', 'aria-hidden': 'true'}, right ? '✓' : '✗'),
        h('span', {class: 'row-name'}, rowName(row)),
        h('span', {class: 'odds', style: '--share:' + (p === null || p === undefined ? '0' : (100 * p).toFixed(1)) + '%'},
          h('span', {}, className(evaluation, score.class), h('span', {class: 'unseen'}, right ? ' (right)' : ' (wrong)')),
          p === null || p === undefined ? null : h('span', {class: 'share-text'}, Math.round(100 * p) + ' %')));
    });
  };

  const keeps = evaluation => evaluation.shown.some(row => row && row.some(one => one.found && one.found.captions.length > 0));
  const searchLines = (evaluation, position) => shownRows().map(row => {
    const found = evaluation.shown[row] ? evaluation.shown[row][position].found : null;
    const score = evaluation.scores[row] && evaluation.scores[row][position];
    if (!score) return null;
    return h('div', {class: 'search ' + (score.score > 0 ? 'hit' : 'miss')},
      h('h6', {}, h('span', {class: 'mark', 'aria-hidden': 'true'}, score.score > 0 ? '✓' : '✗'), rowName(row)),
      !found ? h('p', {class: 'hint'}, 'its pictures were not made') : [
        found.captions.length === 0 ? null :
          h('ol', {}, found.captions.map(([text, hit]) => h('li', {class: hit ? 'hit' : ''}, text, h('span', {class: 'unseen'}, hit ? ' (its own)' : '')))),
        found.pictures.length === 0 ? null : h('div', {class: 'found', role: 'group', 'aria-label': 'pictures found for its first caption'},
          found.pictures.map((index, rank) => {
            const hit = index === evaluation.chosen[position].index;
            return h('img', {src: evaluation.thumbnails[index], alt: 'found ' + (rank + 1) + (hit ? ', the right one' : ', another picture'), class: hit ? 'hit' : '', height: 48});
          }))]);
  });

  const unroll = mask => {
    const runs = bytes(mask.runs), pixels = new Uint8Array(mask.width * mask.height);
    for (let i = 0, at = 0; i < runs.length && at < pixels.length;) {
      let length = 0, shift = 0;
      do { length += (runs[i] & 127) * 2 ** shift; shift += 7; } while (runs[i++] & 128 && i < runs.length);
      pixels.fill(runs[i++], at, at += length);
    }
    return pixels;
  };
  const loaded = new Map();
  const load = src => {
    if (!loaded.has(src)) loaded.set(src, new Promise(resolve => {
      const picture = new Image();
      picture.onload = picture.onerror = () => resolve(picture);
      picture.src = src;
    }));
    return loaded.get(src);
  };
  // A picture below something coloured: `colour(pixel)` gives [r, g, b, opacity] for each of width × height.
  const painted = (picture, width, height, colour, label) => {
    const {width: shownWidth, height: shownHeight} = sized(picture);
    const canvas = h('canvas', {width: shownWidth, height: shownHeight, role: 'img', 'aria-label': label});
    load(picture.src).then(source => {
      const context = canvas.getContext('2d');
      context.imageSmoothingEnabled = false;
      if (source.naturalWidth) context.drawImage(source, 0, 0, shownWidth, shownHeight);
      const layer = h('canvas', {width, height}), paint = layer.getContext('2d'), pixels = paint.createImageData(width, height);
      for (let i = 0; i < width * height; ++i) {
        const [red, green, blue, opacity] = colour(i);
        pixels.data.set([red, green, blue, Math.round(255 * opacity)], 4 * i);
      }
      paint.putImageData(pixels, 0, 0);
      context.drawImage(layer, 0, 0, shownWidth, shownHeight);
    });
    return canvas;
  };

  const segmentation = evaluation => {
    let opacity = 0.6, alone = null;
    const draws = [], redrawMasks = () => draws.forEach(draw => draw());
    const masks = [];  // of the pictures: {truth, rows}
    evaluation.pictures.forEach((picture, position) => {
      masks.push(!picture ? null : {truth: picture.mask ? unroll(picture.mask) : null,
        rows: evaluation.shown.map(row => row && row[position].mask ? unroll(row[position].mask) : null)});
    });
    // The classes of the truth first, the largest before the others: they get the colours that are furthest apart.
    const areas = new Map();
    const addArea = (pixels, weight) => pixels.forEach(label => { if (label !== 255) areas.set(label, (areas.get(label) || 0) + weight); });
    for (const mask of masks.filter(Boolean)) {
      if (mask.truth) addArea(mask.truth, 1e6);
      for (const pixels of mask.rows.filter(Boolean)) addArea(pixels, 1);
    }
    const present = [...areas].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([label]) => label);
    const inTruth = present.filter(label => areas.get(label) >= 1e6).length;
    const colourOf = label => colours[present.indexOf(label) % colours.length];
    const describe = (pixels, who) => {
      const shares = new Map();
      for (const label of pixels) shares.set(label, (shares.get(label) || 0) + 1);
      return who + ': ' + [...shares].filter(([label]) => label !== 255).sort((a, b) => b[1] - a[1]).slice(0, 4)
        .map(([label, number]) => className(evaluation, label) + ' ' + percent(number / pixels.length)).join(', ');
    };
    const overlay = (picture, size, mask, pixels, label) => painted(picture, size.width, size.height, i => {
      if (alone !== null && pixels[i] !== alone) return [0, 0, 0, 0.5];
      if (pixels[i] === 255) return [0, 0, 0, 0];
      return [...colourOf(pixels[i]), mask.truth && mask.truth[i] === 255 ? opacity / 5 : opacity];
    }, label);
    const card = position => {
      const picture = evaluation.pictures[position], chosen = evaluation.chosen[position];
      if (!picture || !masks[position]) return h('div', {class: 'card'}, h('p', {class: 'hint'}, 'Picture ' + chosen.index + ' was not made.'));
      const size = picture.mask || (evaluation.shown.find(row => row && row[position].mask) || [])[position]?.mask;
      const readout = h('p', {class: 'readout', 'aria-live': 'polite'}, captionOf(picture));
      const strips = h('div', {class: 'strips'});
      let at = [0.5, 0.5];
      const name = (pixels, i) => pixels === null ? '–' : pixels[i] === 255 ? 'none' : className(evaluation, pixels[i]);
      const tell = () => {
        const i = Math.min(Math.floor(at[1] * size.height), size.height - 1) * size.width + Math.min(Math.floor(at[0] * size.width), size.width - 1);
        readout.textContent = 'Here: truth ' + name(masks[position].truth, i)
          + shownRows().filter(row => masks[position].rows[row]).map(row => '; ' + rowName(row) + ' ' + name(masks[position].rows[row], i)).join('');
        strips.classList.add('told');
        strips.style.setProperty('--x', 100 * at[0] + '%');
        strips.style.setProperty('--y', 100 * at[1] + '%');
      };
      const watched = (figure, caption) => h('figure', {},
        h('div', {class: 'crossed', tabindex: '0', role: 'group', 'aria-label': caption + '; arrow keys tell the classes of a place',
          onmousemove: event => {
            const box = event.currentTarget.getBoundingClientRect();
            at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(share => Math.min(Math.max(share, 0), 0.999));
            tell();
          }, onfocus: tell, onkeydown: event => {
            const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
            if (!step) return;
            event.preventDefault();
            at = at.map((share, axis) => Math.min(Math.max(share + step[axis] / 16, 0), 0.999));
            tell();
          }}, figure), h('figcaption', {}, caption));
      const draw = () => {
        const row = index => {
          const pixels = masks[position].rows[index], score = evaluation.scores[index] && evaluation.scores[index][position];
          if (!pixels) return null;
          return watched(overlay(picture, size, masks[position], pixels, describe(pixels, rowName(index) + ' sees')),
                         rowName(index) + (score && score.score !== null ? ', mIoU ' + percent(score.score) : ''));
        };
        strips.replaceChildren(...[h('figure', {}, image(evaluation, position), h('figcaption', {}, 'picture ' + chosen.index)),
          masks[position].truth ? watched(overlay(picture, size, masks[position], masks[position].truth, describe(masks[position].truth, 'truth')), 'truth') : null,
          ...shownRows().map(row)].filter(Boolean));
      };
      redraws.push(draw);
      draws.push(draw);
      draw();
      return h('div', {class: 'card wide'}, strips, readout);
    };
    const chip = label => h('button', {
      type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: event => {
        alone = alone === label ? null : label;
        chips.forEach(button => button.setAttribute('aria-pressed', String(button === event.currentTarget && alone === label)));
        redrawMasks();
      }}, h('span', {class: 'swatch', style: 'background:' + css(colourOf(label))}), className(evaluation, label));
    const chips = present.map(chip), others = chips.slice(inTruth || chips.length);
    const legend = h('div', {}, h('div', {class: 'gallery-legend', role: 'group', 'aria-label': 'classes; choose one to see it alone'}, chips.slice(0, inTruth || chips.length)),
      others.length === 0 ? null : h('details', {class: 'more'}, h('summary', {}, others.length + ' more that are predicted'), h('div', {class: 'gallery-legend'}, others)),
      h('p', {class: 'hint'}, 'Choose a class to see it alone. ' + (masks.some(mask => mask && mask.truth && mask.truth.includes(255)) ? 'Pale: places that do not count. ' : '')
        + (present.length > colours.length ? 'There are more classes than colours: point at a place, or move there by arrow keys, to read its class.' : 'Point at a place, or move there by arrow keys, to read its class.')));
    const slider = h('label', {class: 'slider'}, 'Masks ', h('input', {type: 'range', min: '0', max: '100', step: '10', value: '60', 'aria-label': 'opacity of masks',
      oninput: event => { opacity = event.target.value / 100; redrawMasks(); }}));
    return pictureGroups(evaluation, card, [legend, slider]);
  };

  const pictureGroups = (evaluation, card, controls) => {
    const groups = [];
    evaluation.chosen.forEach((chosen, position) => {
      if (groups.length === 0 || groups.at(-1).name !== chosen.group) groups.push({name: chosen.group, positions: []});
      groups.at(-1).positions.push(position);
    });
    return h('details', {class: 'gallery-part', open: true},
      h('summary', {}, 'Pictures'),
      h('p', {class: 'hint'}, 'Not at random: ' + count(evaluation.chosen.length, 'picture') + ' of ' + evaluation.samples
        + ', chosen by the scores of the rows’ seed ' + [...new Set(data.rows.map(row => row.seed))].join(', ') + ' and spread over the data within each group.'),
      controls, groups.map(({name, positions}) => h('section', {class: 'group ' + name},
        h('h5', {}, groupText(evaluation, name), ' ', h('small', {}, '(' + positions.length + ')')),
        h('div', {class: 'cards'}, positions.map(card)))));
  };

  const oddsText = evaluation => {
    const by = kind => data.rows.filter((_, row) => evaluation.probability[row] === kind).map(row => row.label).join(', ');
    const softmax = by('softmax'), sigmoid = by('sigmoid');
    return [softmax ? 'softmax over the classes (' + softmax + ')' : '', sigmoid ? 'sigmoid of each class by itself (' + sigmoid + ')' : ''].filter(Boolean).join(', ');
  };

  const classified = evaluation => pictureGroups(evaluation, position => {
    const picture = evaluation.pictures[position];
    return h('div', {class: 'card'}, image(evaluation, position),
      h('div', {class: 'words'},
        h('p', {class: 'truth'}, picture && picture.label !== null ? className(evaluation, picture.label) : 'picture ' + evaluation.chosen[position].index),
        picture && captionOf(picture) ? h('p', {class: 'caption'}, captionOf(picture)) : null,
        following(h('ul', {class: 'guesses'}), () => guessLines(evaluation, position))));
  }, oddsText(evaluation) === '' ? null : h('p', {class: 'hint'}, 'Each row’s class, and how probable it is by the scale that its objective has learnt: ' + oddsText(evaluation) + '.'));

  const retrieved = evaluation => pictureGroups(evaluation, position => {
    const picture = evaluation.pictures[position];
    return h('div', {class: 'card wide'}, h('figure', {}, image(evaluation, position), h('figcaption', {}, picture ? captionOf(picture) : '')),
      following(h('div', {class: 'searches'}), () => searchLines(evaluation, position)));
  }, h('p', {class: 'hint'}, !keeps(evaluation) ? 'What was found instead is not known: these cells were evaluated by a silc that did not keep it.' : 'For each row the captions that fit the picture best, its own marked, and the pictures that fit its first caption best.'));

  // ---- how well patches fit a word

  const similarityMaps = evaluation => {
    const maps = evaluation.maps;
    if (!maps || maps.rows.length === 0) return null;
    const rows = maps.rows.map(row => {
      const words = row.words || maps.words;
      return {...row, words, patches: new Int8Array(bytes(row.patches).buffer), texts: new Int8Array(bytes(row.texts).buffer),
        places: new Map(words.map((word, place) => [word.toLowerCase(), place]))};
    });
    const known = rows[0].places;
    const classes = maps.words.slice(0, maps.classes);
    // A text that is known as it is, or its known words, whose mean is then shown.
    const parts = text => {
      const whole = text.trim().toLowerCase();
      return whole === '' || known.has(whole) ? [whole] : whole.split(/\s+/);
    };
    const scoresOf = (row, words) => {
      const area = row.grid[0] * row.grid[1], weights = new Float64Array(row.terms);
      for (const word of words) for (let k = 0; k < row.terms; ++k)
        weights[k] += row.scales[k] * row.texts[row.places.get(word) * row.terms + k] / words.length;
      return maps.pictures.map((_, picture) => Float64Array.from({length: area}, (_, patch) => {
        let sum = 0;
        for (let k = 0; k < row.terms; ++k) sum += weights[k] * row.patches[(picture * area + patch) * row.terms + k];
        return sum;
      }));
    };
    // Whether a picture shows a word, as far as its label, mask and captions tell.
    const pictureOf = index => evaluation.pictures[evaluation.chosen.findIndex(chosen => chosen.index === index)];
    const labels = new Map(maps.pictures.map(index => {
      const picture = pictureOf(index);
      return [index, new Set(!picture ? [] : picture.mask ? unroll(picture.mask) : picture.label === null ? [] : [picture.label])];
    }));
    const holds = (index, words) => words.some(word => {
      const label = classes.findIndex(name => name.toLowerCase() === word), picture = pictureOf(index);
      return label >= 0 && labels.get(index).size > 0 ? labels.get(index).has(label)
        : Boolean(picture) && picture.captions.some(caption => (' ' + caption.toLowerCase() + ' ').split(/[^\p{L}\p{N}]+/u).join(' ').includes(' ' + word + ' '));
    });
    const frequency = classes.map((_, label) => maps.pictures.filter(index => labels.get(index).has(label)).length);
    const byFrequency = classes.map((_, label) => label).sort((a, b) => frequency[b] - frequency[a] || a - b);
    const place = h('div', {class: 'maps'}), status = h('p', {class: 'readout', 'aria-live': 'polite'});
    const list = 'words-' + evaluation.name.replace(/[^A-Za-z0-9]+/g, '-');
    const input = h('input', {type: 'text', list, autocomplete: 'off', spellcheck: 'false', 'aria-label': 'a word to look for', oninput: () => draw()});
    const draw = () => {
      const words = parts(input.value), strange = words.filter(word => !known.has(word));
      buttons.forEach((button, label) => button.setAttribute('aria-pressed', String(classes[label].toLowerCase() === input.value.trim().toLowerCase())));
      if (strange.length > 0) {
        status.textContent = strange[0] === '' ? 'Type a word, or choose a class.' : '“' + strange.join('”, “') + '” is not among the ' + maps.words.length
          + ' words that this page knows; silc report --format html --word ' + JSON.stringify(input.value.trim()) + ' adds it.';
        place.replaceChildren();
        return;
      }
      status.textContent = 'How well each patch fits “' + input.value.trim() + '”' + (words.length > 1 ? ', as the mean of its words' : '')
        + ': cosines, from the least to the greatest of each row; right to ±' + Math.max(...rows.map(row => row.error)).toFixed(3) + '. Framed pictures come first: they show it, as far as labels and captions tell.';
      const visible = rows.filter(row => shown.has(row.row));
      const order = maps.pictures.map((_, i) => i).sort((a, b) => holds(maps.pictures[b], words) - holds(maps.pictures[a], words) || a - b);
      place.replaceChildren(...visible.map(row => {
        if (words.some(word => !row.places.has(word))) return h('p', {class: 'hint'}, rowName(row.row) + ' does not know the word.');
        const scores = scoresOf(row, words);
        let least = Infinity, most = -Infinity;
        for (const map of scores) for (const score of map) { least = Math.min(least, score); most = Math.max(most, score); }
        return h('div', {class: 'map-row'}, h('h5', {}, rowName(row.row), h('span', {class: 'scale'}, least.toFixed(2), h('span', {class: 'ramp', style: 'background:linear-gradient(90deg,' + heat.map(css).join(',') + ')'}), most.toFixed(2))),
          h('div', {class: 'strips'}, order.map(i => {
            const index = maps.pictures[i], picture = pictureOf(index);
            if (!picture) return null;
            const best = scores[i].indexOf(Math.max(...scores[i]));
            const where = ['top', 'middle', 'bottom'][Math.floor(3 * Math.floor(best / row.grid[1]) / row.grid[0])] + ' ' + ['left', 'centre', 'right'][Math.floor(3 * (best % row.grid[1]) / row.grid[1])];
            return h('figure', {class: holds(index, words) ? 'holds' : null}, smooth(picture, row.grid, scores[i], score => (score - least) / Math.max(most - least, 1e-9),
              rowName(row.row) + ', picture ' + index + ': fits best at the ' + where + ', ' + Math.max(...scores[i]).toFixed(2)), h('figcaption', {}, captionOf(picture) || 'picture ' + index));
          })));
      }));
    };
    const buttons = classes.map(name => h('button', {type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => { input.value = name; draw(); }}, name));
    input.value = classes.length > 0 ? classes[byFrequency[0]] : maps.words.find(word => maps.pictures.some(index => holds(index, [word]))) || maps.words[0] || '';
    redraws.push(() => draw());
    draw();
    return h('details', {class: 'gallery-part', open: true},
      h('summary', {}, 'Where is …?'),
      h('p', {class: 'hint'}, 'Similarity of each patch of a picture with a word: ' + (classes.length > 0 ? 'a class, by the prompts of the evaluation, or ' : '') + 'a word of the captions.'),
      h('div', {class: 'ask'}, h('label', {}, 'Word: ', input), h('datalist', {id: list}, [...maps.words].sort().map(word => h('option', {value: word}))),
        h('div', {class: 'gallery-legend', role: 'group', 'aria-label': 'classes'}, byFrequency.slice(0, 30).map(label => buttons[label]))),
      status, place);
  };

  // A grid of scores over a picture, drawn smoothly; `share` maps a score to [0, 1].
  const smooth = (picture, grid, scores, share, label) => {
    const {width, height} = sized(picture);
    const at = (row, column) => scores[Math.min(Math.max(row, 0), grid[0] - 1) * grid[1] + Math.min(Math.max(column, 0), grid[1] - 1)];
    return painted(picture, width, height, i => {
      const y = (Math.floor(i / width) + 0.5) * grid[0] / height - 0.5, x = (i % width + 0.5) * grid[1] / width - 0.5;
      const top = Math.floor(y), left = Math.floor(x), v = y - top, u = x - left;
      const value = share((at(top, left) * (1 - u) + at(top, left + 1) * u) * (1 - v) + (at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u) * v);
      return [...heatAt(value), 0.35 + 0.4 * value];
    }, label);
  };

  // ---- all together

  const part = evaluation => {
    const parts = [classTable(evaluation), confusions(evaluation),
      evaluation.pictures.every(picture => picture === null) ? null
        : {segmentation, retrieval: retrieved, classification: classified}[evaluation.kind](evaluation),
      similarityMaps(evaluation)].filter(Boolean);
    return parts.length === 0 ? null : h('section', {class: 'gallery-evaluation'},
      h('h3', {}, evaluation.name, ' ', h('small', {}, evaluation.dataset + ', ' + evaluation.split + ', ' + count(evaluation.samples, 'picture'))), parts);
  };

  root.classList.add('gallery');
  root.replaceChildren(...[rowChooser(), ...data.evaluations.map(part),
    data.notes.length === 0 ? null : h('ul', {class: 'gallery-notes'}, data.notes.map(note => h('li', {}, note)))].filter(Boolean));
}

// A gallery is made when a reader comes near it, or else once there is nothing else to do, so that it is there to be
// printed; and anew when the server sends its section anew.
document.addEventListener('DOMContentLoaded', () => {
  const begin = async place => {
    if (place.dataset.begun) return;
    place.dataset.begun = 'yes';
    const holder = document.createElement('template');
    holder.innerHTML = await window.silcPage.part(place.dataset.gallery);
    try {
      showGallery(place, JSON.parse(holder.content.textContent));
    } catch (error) {
      place.textContent = 'The pictures cannot be shown: ' + error.message;
    }
  };
  const near = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(entry => begin(entry.target)),
                                        {rootMargin: '1200px'});
  const find = () => document.querySelectorAll('[data-gallery]').forEach(place => near.observe(place));
  new MutationObserver(find).observe(document.getElementById('main'), {childList: true});
  const all = () => document.querySelectorAll('[data-gallery]').forEach(begin);
  addEventListener('load', () => setTimeout(all, 300));
  addEventListener('beforeprint', all);
  find();
});
