// The drawing of a crystal: the same script in the page of a scene (scene.py) and in the app (pages/crystal_scene.py).
// Text enters the page as textContent only.

function sceneFailed(box) {
  let note = box.querySelector("#failed");
  if (!note) {
    note = document.createElement("div");
    note.id = "failed";
    box.append(note);
  }
  note.textContent =
    "The crystal cannot be drawn here (is WebGL switched off in this browser?). The numbers are complete without it.";
}

// A scene in the element `box`, which holds the canvas of `viewer`, a GLViewer of 3Dmol. Its `update(scene)` draws what
// scene.py describes, and afterwards changes the picture in place, where the crystal is the same with the camera as it
// is. `picked(sites)`, if it is set, hears of every selection made by a click.
function sceneIn(box, viewer) {
  if (!viewer) { throw new Error("no WebGL"); }
  const make = (tag, more = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), more);
    element.append(...children);
    return element;
  };
  const recall = key => { try { return JSON.parse(sessionStorage.getItem(key)); } catch (e) { return null; } };
  const keep = (key, value) => { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch (e) {} };
  const spread = list => Math.max(...list) - Math.min(...list);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  let scene = null, atoms = [], marks = [], symbols = [], shown = null, placed = false;
  const self = { viewer, picked: null, ready: false, update, picture, get highlighted() { return scene.highlight; } };

  // What lies over the canvas: buttons, label, and the meaning of the colours.
  const button = (text, title, more) => make("button", { type: "button", textContent: text, title, ...more });
  const symbolsButton = button("symbols", "element symbols on the atoms", { id: "symbols" });
  const png = button("PNG", "save this picture", { id: "png" });
  const turns = [["a", "look along a", "a"], ["b", "look along b", "b"], ["c", "look along c", "c"],
    ["start", "back to the first view", "reset"]].map(([name, title, text]) => {
    const element = button(text, title, { onclick: () => turn(scene.turns[name]) });
    element.dataset.turn = name;
    return element;
  });
  const label = make("div", { id: "label", hidden: true });
  let meaning = make("div");
  box.append(make("div", { id: "views" }, symbolsButton, png, make("span"), ...turns), meaning, label);

  // pixels an angstrom
  function scale() {
    const [o, ...p] = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]].map(([x, y, z]) => viewer.modelToScreen({ x, y, z }));
    return Math.sqrt(p.reduce((sum, q) => sum + (q.x - o.x) ** 2 + (q.y - o.y) ** 2, 0) / 2);
  }
  // 3Dmol's own zoomTo leaves half of an orthographic picture empty; this fills the room above the colour bar.
  function fit() {
    const room = viewer.getCanvas().getBoundingClientRect();
    for (let round = 0; round < 2; round++) {
      viewer.render();
      const at = viewer.modelToScreen(atoms), border = 1.5 * scale();
      const wide = spread(at.map(p => p.x)) + border, high = spread(at.map(p => p.y)) + border;
      viewer.zoom(Math.min((room.width - 24) / wide, (room.height - 116) / high));
    }
    viewer.translate(0, -20);
  }
  function turn(quaternion) {
    viewer.zoomTo();
    viewer.setView(viewer.getView().slice(0, 4).concat(quaternion));
    fit();
    viewer.render();
  }

  function update(next) {
    const before = scene;
    placed = before && before.key === next.key && before.atoms.site.length === next.atoms.site.length;
    scene = next;
    const restyled = !before || !same(before.look, scene.look);
    const redrawn = restyled || !["sites", "atoms", "bonds", "shapes"].every(part => same(before[part], scene[part]));
    if (restyled) {
      for (const [name, colour] of Object.entries(scene.look)) { box.style.setProperty("--" + name, colour); }
      viewer.setBackgroundColor(scene.look.background);
    }
    if (!before) { viewer.setProjection("orthographic"); }
    quietly(() => {
      if (redrawn) {
        hide();
        draw();
      }
      if (redrawn || !same(before.highlight, scene.highlight)) { mark(); }
    });
    if (restyled || !same([before.bar, before.legend], [scene.bar, scene.legend])) { explain(); }
    symbolsButton.hidden = !symbols.length;
    symbolsButton.setAttribute("aria-pressed", shown);
    if (!placed) { place(); }
    quietly(tidy);
    viewer.render();
    self.ready = true;
  }

  // 3Dmol shows the picture after many a change; here it is shown once, when all are made.
  function quietly(work) {
    viewer.show = () => {};
    try { work(); } finally { delete viewer.show; }
  }

  function draw() {
    const { sites, bonds, look } = scene, { site, position } = scene.atoms, partners = site.map(() => []);
    for (const [i, j] of bonds) { partners[i].push(j); partners[j].push(i); }
    for (const symbol of symbols) { viewer.removeLabel(symbol); }
    viewer.removeAllShapes();
    viewer.removeAllModels();
    marks = [];
    const model = viewer.addModel();
    model.addAtoms(site.map((i, n) => ({
      elem: sites.element[i], x: position[n][0], y: position[n][1], z: position[n][2], serial: n,
      color: sites.colour[i], bonds: partners[n], bondOrder: partners[n].map(() => 1), properties: { site: i },
      style: {
        sphere: { radius: sites.radius[i], color: sites.colour[i] },
        stick: { radius: 0.07, color: look.zero, hidden: !partners[n].length },
      },
    })));
    for (const [add, spec] of scene.shapes) { viewer[add](spec); }
    atoms = model.selectedAtoms();
    // Symbols are drawn over everything, so those of hidden or tiny atoms are left out, anew for every view.
    if (shown === null) { shown = recall("crystal-symbols") ?? scene.symbols; }
    symbols = atoms.length > scene.mostSymbols ? [] : atoms.map(({ elem, x, y, z, properties }) => {
      const look = { fontColor: sites.ink[properties.site], fontSize: 14, bold: true, alignment: "center" };
      return viewer.addLabel(elem, { position: { x, y, z }, ...look, showBackground: false, inFront: true }, undefined,
        true);
    });
    viewer.setHoverable({}, true, show, hide);
    viewer.setClickable({}, true, clicked);
  }

  function mark() {
    for (const shape of marks) { viewer.removeShape(shape); }
    marks = [];
    const chosen = new Set(scene.highlight), { colour, alpha, times } = scene.mark;
    for (const { x, y, z, properties, style } of atoms) {
      if (chosen.has(properties.site)) {
        marks.push(viewer.addSphere({ center: { x, y, z }, radius: style.sphere.radius * times, color: colour, alpha }));
      }
    }
  }

  // Colour bar, or a legend of the elements.
  function explain() {
    const { bar, legend } = scene;
    let now;
    if (bar) {
      const gradient = make("div", { id: "gradient" });
      const stops = bar.stops.map(([at, colour]) => `${colour} ${(100 * at).toFixed(1)}%`);
      gradient.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
      const ticks = bar.ticks.map(tick => make("span", { textContent: tick }));
      const title = make("div", { textContent: bar.title });
      now = make("div", { id: "bar" }, gradient, make("div", { id: "ticks" }, ...ticks), title);
    } else {
      now = make("div", { id: "legend" }, ...legend.map(([element, colour]) => {
        const swatch = make("i");
        swatch.style.background = colour;
        return make("span", {}, swatch, element);
      }));
    }
    meaning.replaceWith(now);
    meaning = now;
  }

  function tidy() {
    const [x, y, z, w] = viewer.getView().slice(4), pixels = scale();
    const at = atoms.map(p => [
      (1 - 2 * (y * y + z * z)) * p.x + 2 * (x * y - w * z) * p.y + 2 * (x * z + w * y) * p.z,
      2 * (x * y + w * z) * p.x + (1 - 2 * (x * x + z * z)) * p.y + 2 * (y * z - w * x) * p.z,
      2 * (x * z - w * y) * p.x + 2 * (y * z + w * x) * p.y + (1 - 2 * (x * x + y * y)) * p.z,
      p.style.sphere.radius]);
    let changed = false;
    symbols.forEach((symbol, i) => {
      const visible = shown && at[i][3] * pixels > 6 + 3 * atoms[i].elem.length && !at.some(other =>
        other[2] > at[i][2] + 0.05 && Math.hypot(other[0] - at[i][0], other[1] - at[i][1]) < other[3]);
      if (symbol.sprite && symbol.sprite.visible !== visible) {
        changed = true;
        if (visible) { symbol.show(); } else { symbol.hide(); }
      }
    });
    if (changed) { requestAnimationFrame(() => viewer.render()); }
  }

  // The camera of a scene that was not here before.
  function place() {
    const kept = recall(scene.key);
    if (!kept || kept.view.length < 8) { turn(scene.turns.start); }
    else if (kept.atoms !== atoms.length) { turn(kept.view.slice(4)); }  // same orientation, but more must fit in
    else { viewer.setView(kept.view); viewer.render(); }
    placed = true;
    remember(viewer.getView());
  }
  function remember(view) {
    if (placed) { keep(scene.key, { view, atoms: atoms.length }); }
  }
  viewer.setViewChangeCallback(view => {
    remember(view);
    if (placed) { tidy(); }
  });

  symbolsButton.onclick = () => {
    shown = !shown;
    keep("crystal-symbols", shown);
    symbolsButton.setAttribute("aria-pressed", shown);
    tidy();
  };

  // The picture at four times the size on the screen, with what the page lays over it: colour bar or legend.
  function picture() {
    const times = 4, room = viewer.getCanvas().getBoundingClientRect();
    const ratio = Object.getOwnPropertyDescriptor(window, "devicePixelRatio");
    const out = document.createElement("canvas"), pen = out.getContext("2d"), { bar, legend, look } = scene;
    out.width = room.width * times;
    out.height = room.height * times;
    pen.fillStyle = look.background;
    pen.fillRect(0, 0, out.width, out.height);
    // 3Dmol asks for the ratio when it sets its size
    Object.defineProperty(window, "devicePixelRatio", { value: times, configurable: true, writable: true });
    try {
      viewer.resize();
      viewer.render();
      pen.drawImage(viewer.getCanvas(), 0, 0, out.width, out.height);
    } finally {
      Object.defineProperty(window, "devicePixelRatio", ratio);
      viewer.resize();
      viewer.render();
    }
    pen.scale(times, times);
    pen.font = getComputedStyle(box).font;
    pen.fillStyle = look.text;
    pen.textAlign = "center";
    const middle = room.width / 2, low = room.height;
    if (bar) {
      const width = Math.min(320, 0.86 * room.width), left = middle - width / 2, last = bar.ticks.length - 1;
      const gradient = pen.createLinearGradient(left, 0, left + width, 0);
      bar.stops.forEach(([at, colour]) => gradient.addColorStop(at, colour));
      pen.fillText(bar.title, middle, low - 10);
      bar.ticks.forEach((tick, i) => {
        pen.textAlign = i === 0 ? "left" : i === last ? "right" : "center";
        pen.fillText(tick, left + width * i / last, low - 28);
      });
      pen.fillStyle = gradient;
      pen.fillRect(left, low - 51, width, 9);
    } else {
      pen.textAlign = "left";
      const widths = legend.map(([element]) => 30 + pen.measureText(element).width);
      let x = middle - widths.reduce((sum, w) => sum + w, 0) / 2;
      legend.forEach(([element, colour], i) => {
        pen.fillStyle = colour;
        pen.beginPath(); pen.arc(x + 5.5, low - 16, 5.5, 0, 2 * Math.PI); pen.fill();
        pen.fillStyle = look.text;
        pen.fillText(element, x + 16, low - 12);
        x += widths[i];
      });
    }
    return out;
  }
  png.onclick = () => make("a", { download: scene.name + ".png", href: picture().toDataURL("image/png") }).click();

  function show(atom) {
    label.replaceChildren(...scene.sites.label[atom.properties.site].filter(line => line).map(line =>
      make("div", { textContent: line })));
    label.hidden = false;
    const at = viewer.modelToScreen(atom), frame = box.getBoundingClientRect();
    const x = at.x - window.scrollX - frame.left + 14, y = at.y - window.scrollY - frame.top + 10;
    label.style.left = Math.max(4, Math.min(x, frame.width - label.offsetWidth - 4)) + "px";
    label.style.top = Math.max(4, Math.min(y, frame.height - label.offsetHeight - 4)) + "px";
    if (self.picked) { viewer.getCanvas().style.cursor = "pointer"; }
  }
  function hide() {
    label.hidden = true;
    viewer.getCanvas().style.cursor = "";
  }

  // A click on an atom selects its site, one more click or one on the background clears that; with Shift, Control or
  // Command the site comes to those selected, or leaves them. It is marked at once, not when the answer comes.
  let pressed = null;
  function select(sites) {
    scene = { ...scene, highlight: sites };
    mark();
    viewer.render();
    self.picked(sites);
  }
  function clicked(atom, _, event) {
    pressed = null;
    show(atom);
    if (!self.picked || event.button > 0) { return; }
    const site = atom.properties.site, now = scene.highlight, more = event.shiftKey || event.ctrlKey || event.metaKey;
    const others = now.filter(i => i !== site), chosen = now.includes(site);
    if (more) { select(chosen ? others : [...now, site].sort((i, j) => i - j)); }
    else { select(chosen && !others.length ? [] : [site]); }
  }
  const point = event => event.changedTouches ? event.changedTouches[0] : event;
  const press = event => { pressed = event.button > 0 ? null : [point(event).pageX, point(event).pageY]; };
  const release = event => {  // 3Dmol, which listens at the body, has already named an atom that was hit
    if (!pressed) { return; }
    const moved = Math.hypot(point(event).pageX - pressed[0], point(event).pageY - pressed[1]);
    pressed = null;
    if (moved <= (event.changedTouches ? 5 : 0)) {
      hide();
      if (self.picked && scene.highlight.length) { select([]); }
    }
  };
  for (const type of ["mousedown", "touchstart"]) { viewer.getCanvas().addEventListener(type, press); }
  for (const type of ["mouseup", "touchend"]) { window.addEventListener(type, release); }
  viewer.setHoverDuration(60);
  return self;
}
