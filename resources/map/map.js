// The map page. Everything it knows arrives over the one channel object `bridge` as JSON messages; everything
// it has to say goes back the same way. gui/map/messages.py lists both directions. Text is only ever set as
// textContent: file names and layer names are data, never markup.
(function () {
  "use strict";
  const ICONS = {
    plus: "M9 3v12M3 9h12",
    minus: "M3 9h12",
    rectangle: "M3 4.5h12v9H3z",
    polygon: "M9 2.5l6.5 4.8-2.5 7.7H5L2.5 7.3z",
    circle: "M9 2.5a6.5 6.5 0 1 0 .01 0z",
    edit: "M3 15l.8-3.3L12 3.5l2.5 2.5-8.2 8.2z",
    remove: "M3.5 5h11M7 5V3h4v2M5 5l.7 10h6.6L13 5",
    fit: "M3 6.5V3h3.5M11.5 3H15v3.5M15 11.5V15h-3.5M6.5 15H3v-3.5",
  };
  const LEGEND = [["guess", "dot"], ["fused", "fused"], ["own", "ring"], ["heat", "ramp"], ["query", "ring"],
    ["margin", "ramp margin"], ["weak", "ramp margin"]];
  const SHAPES = {rectangle: "Rectangle", polygon: "Polygon", circle: "Circle"};
  let map, bridge = null, words = {}, css = {}, motion = true;
  let imagery = null, heat = null, coverage = null, weak = null, prior = null, drawer = null, editing = false;
  let pins = new Map(), outlines = new Map(), lit = null, areaBounds = null, imageryBounds = null;
  let area, marks, confusions, impostors = new Map(), litImpostor = null, buttons = {}, legend, hint, looked = null;

  const say = (kind, fields) => bridge && bridge.send(JSON.stringify({kind, ...fields}));
  const box = (b) => L.latLngBounds([b[1], b[0]], [b[3], b[2]]);
  const accent = () => css["--accent"] || "#1f6feb";
  const make = (tag, name, parent) => L.DomUtil.create(tag, name || "", parent);

  window.geolocatorStart = function (folium) {
    map = folium;
    map.setView([20, 0], 2, {animate: false});
    map.createPane("heat").style.zIndex = 350;
    map.createPane("coverage").style.zIndex = 340;
    map.getPane("heat").style.pointerEvents = map.getPane("coverage").style.pointerEvents = "none";
    area = L.featureGroup().addTo(map);
    marks = L.layerGroup().addTo(map);
    confusions = L.layerGroup().addTo(map);
    map.doubleClickZoom.enable();
    addTools();
    addLegend();
    L.control.scale({position: "bottomleft", imperial: false, maxWidth: 120}).addTo(map);
    hint = make("div", "hint", map.getContainer());
    hint.hidden = true;
    map.on(L.Draw.Event.CREATED, onCreated);
    map.on(L.Draw.Event.DRAWSTOP, () => setDrawer(null));
    map.on("contextmenu", (e) => say("context", {...at(e), x: e.containerPoint.x, y: e.containerPoint.y}));
    map.on("moveend", () => say("moved", {bounds: corners(map.getBounds()), zoom: map.getZoom()}));
    let last = 0;
    map.on("mousemove", (e) => {
      if (performance.now() - last > 100) { last = performance.now(); say("pointer", at(e)); }
    });
    document.addEventListener("keydown", (e) => { if (e.key === "Escape") stopDrawing(); });
    // What was brought into view stays in view when the window changes, until the user moves the map.
    for (const name of ["pointerdown", "wheel", "keydown"]) {
      document.addEventListener(name, () => { looked = null; }, {capture: true, passive: true});
    }
    map.on("resize", () => { if (looked) look(looked[0], looked[1], true); });
    // The frame around the focus is for those who walk with keys.
    document.addEventListener("keydown", () => document.body.classList.add("keys"), true);
    document.addEventListener("pointerdown", () => document.body.classList.remove("keys"), true);
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (e) => e.preventDefault());
    new QWebChannel(qt.webChannelTransport, (channel) => {
      bridge = channel.objects.bridge;
      bridge.push.connect((text) => receive(JSON.parse(text)));
      whenSized(() => say("ready", {}));
    });
  };

  // A page in a window that is not shown yet has no size, and nothing can be brought into view on it.
  function whenSized(then) {
    map.invalidateSize({animate: false});
    const size = map.getSize();
    if (size.x > 64 && size.y > 64) then();
    else setTimeout(() => whenSized(then), 30);
  }

  const at = (e) => ({lon: e.latlng.wrap().lng, lat: e.latlng.lat});
  const corners = (b) => [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()];

  const receivers = {
    theme(m) {
      css = m.variables;
      motion = m.motion && !matchMedia("(prefers-reduced-motion: reduce)").matches;
      for (const [name, value] of Object.entries(css)) document.documentElement.style.setProperty(name, value);
      area.setStyle({color: accent()});
      outlines.forEach((o) => o.setStyle({color: accent()}));
    },
    words(m) { words = m.words; label(); },
    imagery(m) {
      if (imagery) imagery.remove();
      imagery = null; imageryBounds = m.bounds ? box(m.bounds) : null;
      legend.attribution.textContent = m.attribution || "";
      if (m.key) {
        imagery = L.tileLayer(`/tiles/${encodeURIComponent(m.key)}/{z}/{x}/{y}${devicePixelRatio > 1 ? "@2x" : ""}`,
          {bounds: imageryBounds, minZoom: 1, maxZoom: 22, updateWhenZooming: false, keepBuffer: 3}).addTo(map);
        imagery.bringToBack();
      }
      updateLegend();
    },
    view(m) { look(box(m.bounds), m.padding, m.jump); },
    fly(m) { move(() => map.flyTo([m.lat, m.lon], m.zoom || Math.max(map.getZoom(), 17), fly()),
                  () => map.setView([m.lat, m.lon], m.zoom || Math.max(map.getZoom(), 17), {animate: false})); },
    area(m) {
      stopDrawing(); area.clearLayers(); areaBounds = null;
      if (m.geometry) {
        L.geoJSON(m.geometry, {style: {color: accent(), weight: 2, fillOpacity: 0.06, interactive: false}})
          .eachLayer((layer) => area.addLayer(layer));
        areaBounds = area.getBounds();
      }
      tools();
    },
    draw(m) { m.shape ? startDrawing(m.shape) : stopDrawing(); },
    edit() { toggleEditing(); },
    matches(m) { showMatches(m); },
    highlight(m) { highlight(m.rank); },
    heat(m) { heat = overlay(heat, m, "heat"); legend.heat.hidden = !m.url; updateLegend(); },
    coverage(m) { coverage = overlay(coverage, m, "coverage"); },
    weak(m) { weak = overlay(weak, m, "heat", "cells"); legend.weak.hidden = !m.url; updateLegend(); },
    confusions(m) { showConfusions(m); },
    lift(m) { liftImpostor(m.place); },
    prior(m) {
      if (prior) prior.remove();
      prior = m.radius_m ? L.circle([m.lat, m.lon], {radius: m.radius_m, color: accent(), weight: 2,
        dashArray: "6 6", fill: false, interactive: false}).addTo(map) : null;
    },
  };
  function receive(message) {
    const receiver = receivers[message.kind];
    if (receiver) receiver(message);
  }

  const fly = () => ({duration: 0.3});
  function move(smooth, still) { motion ? smooth() : still(); }
  function look(bounds, padding, jump) {
    // The legend lies over the lower edge.
    // From the whole world there is nothing to see on the way, and a flight can be cut short.
    if (map.getZoom() < 6) jump = true;
    looked = [bounds, padding];
    const low = map.getSize().y < 260, edge = low ? 8 : padding || 24, legendRoom = low ? 0 : 32;
    const options = {paddingTopLeft: [edge + 32, edge], paddingBottomRight: [edge, edge + legendRoom], maxZoom: 19};
    move(() => jump ? map.fitBounds(bounds, {...options, animate: false}) : map.flyToBounds(bounds, {...options, ...fly()}),
         () => map.fitBounds(bounds, {...options, animate: false}));
  }
  function overlay(old, m, pane, className = "") {
    if (old && m.url && old.getBounds().equals(box(m.bounds))) { old.setUrl(m.url); return old; }
    if (old) old.remove();
    return m.url ? L.imageOverlay(m.url, box(m.bounds), {pane, className, opacity: 0.85, interactive: false}).addTo(map) : null;
  }

  // -- matches ---------------------------------------------------------------------------------------------
  function showMatches(m) {
    marks.clearLayers(); pins = new Map(); outlines = new Map(); lit = null;
    for (const match of [...m.matches].reverse()) {
      const outline = L.rectangle(box(match.bounds), {color: accent(), weight: match.rank === 1 ? 2 : 1.5,
        opacity: match.rank === 1 ? 1 : 0.75, fill: false, interactive: false}).addTo(marks);
      const face = make("div", match.rank === 1 ? "pin" : "pin quiet");
      face.textContent = String(match.rank);
      face.dataset.rank = String(match.rank);
      const pin = L.marker([match.lat, match.lon], {icon: L.divIcon({html: face, className: "", iconSize: [24, 24]}),
        zIndexOffset: 1000 - match.rank, keyboard: false}).addTo(marks);
      pin.on("mouseover", () => say("hover", {rank: match.rank}));
      pin.on("mouseout", () => say("hover", {rank: null}));
      pin.on("click", () => say("choose", {rank: match.rank}));
      pin.on("dblclick", () => say("zoom", {rank: match.rank}));
      pins.set(match.rank, face); outlines.set(match.rank, outline);
    }
    if (m.fused) {
      L.circle([m.fused.lat, m.fused.lon], {radius: Math.max(m.fused.spread_m, 1), color: accent(), weight: 1,
        opacity: 0.8, fillOpacity: 0.12, interactive: false}).addTo(marks);
      L.marker([m.fused.lat, m.fused.lon], {interactive: false, keyboard: false, zIndexOffset: -500,
        icon: L.divIcon({className: "", html: make("div", "fused"), iconSize: [14, 14]})}).addTo(marks);
    }
    if (m.own) {
      L.marker([m.own.lat, m.own.lon], {interactive: false, keyboard: false, zIndexOffset: 1500,
        icon: L.divIcon({className: "", html: make("div", "truth"), iconSize: [26, 26]})}).addTo(marks);
    }
    legend.guess.hidden = m.matches.length === 0;
    legend.fused.hidden = !m.fused;
    legend.own.hidden = !m.own;
    updateLegend();
  }
  function highlight(rank) {
    if (lit !== null) {
      pins.get(lit)?.classList.remove("on");
      outlines.get(lit)?.setStyle({weight: lit === 1 ? 2 : 1.5, fill: false});
    }
    lit = pins.has(rank) ? rank : null;
    if (lit !== null) {
      pins.get(lit).classList.add("on");
      outlines.get(lit).setStyle({weight: 3, fill: true, fillOpacity: 0.08}).bringToFront();
    }
  }

  // -- confusions: a photo, its own chip, and the impostors joined to it by lines, coloured by margin ---------
  function showConfusions(m) {
    confusions.clearLayers(); impostors = new Map(); litImpostor = null;
    const from = m.query || m.own_place;
    if (m.own) L.rectangle(box(m.own), {color: "#14181d", weight: 4, opacity: .55, fill: false, interactive: false}).addTo(confusions);
    if (m.own) L.rectangle(box(m.own), {color: "#fff", weight: 2, fill: false, interactive: false}).addTo(confusions);
    for (const item of [...m.items].reverse()) {
      const ends = from ? [[from.lat, from.lon], [item.lat, item.lon]] : [];
      const seen = item.numbered ? 1 : 0;
      const shade = L.polyline(ends, {color: "#14181d", weight: 4.5, opacity: seen * .5, interactive: false}).addTo(confusions);
      const line = L.polyline(ends, {color: item.colour, weight: 2.5, opacity: seen, interactive: item.numbered}).addTo(confusions);
      const outline = L.rectangle(box(item.bounds), {color: item.colour, weight: 2, opacity: 0, fill: false, interactive: false}).addTo(confusions);
      const face = make("div", item.numbered ? "impostor" : "impostor small");
      if (item.numbered) face.textContent = String(item.rank);
      face.style.background = item.colour;
      face.style.color = item.ink;
      face.dataset.place = String(item.place);
      const side = item.numbered ? 22 : 10;
      const pin = L.marker([item.lat, item.lon], {icon: L.divIcon({html: face, className: "", iconSize: [side, side]}),
        zIndexOffset: 1000 - item.place, keyboard: false}).addTo(confusions);
      for (const target of [pin, line]) {
        target.on("mouseover", () => say("impostor_hover", {place: item.place}));
        target.on("mouseout", () => say("impostor_hover", {place: null}));
        target.on("click", () => say("impostor", {place: item.place}));
      }
      impostors.set(item.place, {face, line, shade, outline, pin, seen});
    }
    if (m.query) {
      L.marker([m.query.lat, m.query.lon], {interactive: false, keyboard: false, zIndexOffset: 1500,
        icon: L.divIcon({className: "", html: make("div", "truth"), iconSize: [26, 26]})}).addTo(confusions);
    }
    legend.query.hidden = !m.query;
    legend.margin.hidden = m.items.length === 0;
    updateLegend();
  }
  function liftImpostor(place) {
    const set = (one, on) => {
      if (!one) return;
      one.face.classList.toggle("on", on);
      one.line.setStyle({weight: on ? 4 : 2.5, opacity: on ? 1 : one.seen});
      one.shade.setStyle({weight: on ? 7 : 4.5, opacity: on ? .6 : one.seen * .5});
      one.outline.setStyle({opacity: on ? 1 : 0, weight: 3});
      one.pin.setZIndexOffset(on ? 1400 : 1000 - Number(one.face.dataset.place));
    };
    set(impostors.get(litImpostor), false);
    litImpostor = impostors.has(place) ? place : null;
    set(impostors.get(litImpostor), true);
  }

  // -- drawing ---------------------------------------------------------------------------------------------
  function startDrawing(shape) {
    stopDrawing();
    const shapeOptions = {color: accent(), weight: 2, fillOpacity: 0.06};
    drawer = new L.Draw[SHAPES[shape]](map, {shapeOptions, showArea: false, showRadius: false, metric: true,
      showLength: false, feet: false, nautic: false});
    drawer.enable();
    setDrawer(shape);
  }
  function stopDrawing() {
    if (drawer) { drawer.disable(); drawer = null; }
    if (editing) toggleEditing(false);
    setDrawer(null);
  }
  function setDrawer(shape) {
    map.getContainer().classList.toggle("drawing", shape !== null);
    for (const name of Object.keys(SHAPES)) buttons[name].setAttribute("aria-pressed", String(name === shape));
    tell(shape);
    if (shape === null) drawer = null;
  }
  function onCreated(e) {
    if (e.layerType === "circle") {
      const c = e.layer.getLatLng();
      say("circle", {lon: c.lng, lat: c.lat, radius_m: e.layer.getRadius()});
    } else {
      say("drawn", {geometry: e.layer.toGeoJSON().geometry});
    }
  }
  function toggleEditing(keep) {
    if (area.getLayers().length === 0) return;
    editing = !editing;
    area.eachLayer((layer) => { if (layer.editing) editing ? layer.editing.enable() : layer.editing.disable(); });
    buttons.edit.setAttribute("aria-pressed", String(editing));
    tell(editing ? "edit" : null);
    if (!editing && keep !== false) say("drawn", {geometry: merged(), edited: true});
  }
  function merged() {
    const polygons = [];
    area.eachLayer((layer) => {
      const g = layer.toGeoJSON().geometry;
      g.type === "MultiPolygon" ? polygons.push(...g.coordinates) : polygons.push(g.coordinates);
    });
    return polygons.length === 1 ? {type: "Polygon", coordinates: polygons[0]}
                                 : {type: "MultiPolygon", coordinates: polygons};
  }
  function tell(what) {
    hint.hidden = !what || !words[`hint_${what}`];
    hint.replaceChildren();
    if (hint.hidden) return;
    hint.append(words[`hint_${what}`]);
    make("kbd", "", hint).textContent = words.hint_escape || "";
  }

  // -- furniture -------------------------------------------------------------------------------------------
  function addTools() {
    const control = L.control({position: "topleft"});
    control.onAdd = () => {
      const root = make("div", "tools");
      L.DomEvent.disableClickPropagation(root);
      for (const names of [["plus", "minus", "fit"], ["rectangle", "polygon", "circle"], ["edit", "remove"]]) {
        const group = make("div", "group", root);
        for (const name of names) {
          const button = buttons[name] = make("button", "", group);
          button.type = "button"; button.id = `tool-${name}`;
          const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          svg.setAttribute("viewBox", "0 0 18 18");
          const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
          path.setAttribute("d", ICONS[name]);
          svg.append(path); button.append(svg);
          button.addEventListener("click", () => press(name));
        }
      }
      return root;
    };
    control.addTo(map);
    tools();
  }
  function press(name) {
    if (name === "plus") map.zoomIn();
    else if (name === "minus") map.zoomOut();
    else if (name === "fit") { const b = areaBounds || imageryBounds; if (b) look(b); }
    else if (name === "edit") toggleEditing();
    else if (name === "remove") { stopDrawing(); say("deleted", {}); }
    else if (buttons[name].getAttribute("aria-pressed") === "true") stopDrawing();
    else startDrawing(name);
  }
  function tools() { buttons.edit.disabled = buttons.remove.disabled = area.getLayers().length === 0; }
  function label() {
    for (const [name, button] of Object.entries(buttons)) {
      button.title = words[name] || name;
      button.setAttribute("aria-label", button.title);
    }
    for (const name of LEGEND.map(([name]) => name)) legend[name].lastChild.textContent = words[name] || "";
  }
  function addLegend() {
    const control = L.control({position: "bottomright"});
    control.onAdd = () => {
      const root = make("div", "legend");
      legend = {root};
      for (const [name, sign] of LEGEND) {
        const item = legend[name] = make("span", "", root);
        make("i", sign, item); make("b", "", item).style.fontWeight = "400";
        item.hidden = true;
      }
      legend.attribution = make("span", "attribution", root);
      root.hidden = true;
      return root;
    };
    control.addTo(map);
  }
  function updateLegend() {
    const items = LEGEND.map(([name]) => legend[name]);
    legend.attribution.hidden = !legend.attribution.textContent;
    legend.attribution.title = legend.attribution.textContent;
    legend.root.hidden = legend.attribution.hidden && items.every((i) => i.hidden);
  }
})();
