// What a function of a design document sees, and the doors through which Python calls it.
//
// One context belongs to one design document (or to the views of one index).  Python passes
// JSON text in and gets JSON text back, because calls from here into Python are not possible
// while a time limit runs.
(function (global, realm) {
  const apply = Reflect.apply;
  const parse = JSON.parse;
  const stringify = JSON.stringify;
  const now = Date.now;
  const evaluate = global.eval;
  const toString = Object.prototype.toString;

  // Whatever can tell a realm from another has one of these words.
  const TELLS_REALMS = /instanceof|constructor|__proto__|rototype(?!\.\w+\.(?:apply|call)\b)/;

  let emitted = [];
  let logged = [];
  let unit = {};
  let session = null;
  let read = parse;

  // ---- what every function may call ------------------------------------------------------

  const shown = function (value) {
    if (typeof value !== "object" || value === null) return value;
    if (!("stack" in value && "name" in value && "message" in value)) return value;
    return { error: value.name, message: value.message };
  };
  global.emit = function emit(key, value) {
    emitted.push([key, shown(value)]);
  };
  global.sum = function sum(values) {
    let total = 0;
    if (Array.isArray(values)) {
      for (let at = 0; at < values.length; at++) total += values[at];
    } else {
      for (const name in values) total += values[name];
    }
    return total;
  };
  global.log = function log(message) {
    if (logged.length < 100) {
      logged.push(typeof message === "string" ? message : String(stringify(shown(message))));
    }
  };
  global.toJSON = stringify;
  global.isArray = function isArray(value) {
    return toString.call(value) === "[object Array]";
  };

  // ---- what show and list functions may call -----------------------------------------------

  const inSession = function () {
    if (session === null) throw ["error", "render_error", "not in a show or list function"];
    return session;
  };
  global.registerType = function registerType(...named) {
    const [name, ...mimes] = named;
    inSession().types.set(name, mimes);
  };
  global.provides = function provides(name, body) {
    const mimes = inSession().types.get(name) || [name];
    session.groups.push(mimes.map((mime) => [mime, name, body]));
  };
  global.start = function start(response) {
    if (inSession().started) return;
    Object.assign(session.start, response || {});
  };
  global.send = function send(chunk) {
    inSession().chunks.push(chunk.toString());
  };
  global.getRow = function getRow() {
    const current = inSession();
    current.started = true;
    current.left = current.chunks.length;
    return current.position < current.rows.length ? current.rows[current.position++] : null;
  };

  const KNOWN_TYPES = [
    ["all", ["*/*"]],
    ["text", ["text/plain; charset=utf-8", "txt"]],
    ["html", ["text/html; charset=utf-8"]],
    ["xhtml", ["application/xhtml+xml", "xhtml"]],
    ["xml", ["application/xml", "text/xml", "application/x-xml"]],
    ["js", ["text/javascript", "application/javascript", "application/x-javascript"]],
    ["css", ["text/css"]],
    ["ics", ["text/calendar"]],
    ["csv", ["text/csv"]],
    ["rss", ["application/rss+xml"]],
    ["atom", ["application/atom+xml"]],
    ["yaml", ["application/x-yaml", "text/yaml"]],
    ["multipart_form", ["multipart/form-data"]],
    ["url_encoded_form", ["application/x-www-form-urlencoded"]],
    ["json", ["application/json", "text/x-json"]],
  ];

  const newSession = function (rows) {
    return {
      types: new Map(KNOWN_TYPES),
      groups: [],
      start: {},
      started: false,
      chunks: [],
      left: 0,
      rows: rows,
      position: 0,
    };
  };

  // ---- CommonJS modules ---------------------------------------------------------------------

  const step = function (path, name) {
    if (name === "" || name === ".") return path;
    if (name === "..") return path.slice(0, -1);
    return path.concat([name]);
  };
  const lookUp = function (path) {
    let value = unit.root;
    for (const name of path) {
      if (value === null || typeof value !== "object" || !Object.hasOwn(value, name)) {
        throw ["error", "invalid_require_path",
          'Object has no property "' + name + '". ' + stringify(value)];
      }
      value = value[name];
    }
    return value;
  };
  const resolve = function (id, base) {
    const relative = id === "." || id === ".." || id.startsWith("./") || id.startsWith("../");
    return id.split("/").reduce(step, relative ? base : []);
  };
  const requireFrom = function (base) {
    return function (id) {
      const path = resolve(String(id), base);
      const name = path.join("/");
      const known = unit.modules.get(name);
      if (known) return known.exports;
      const source = lookUp(path);
      if (typeof source !== "string") {
        throw ["error", "invalid_require_path", "Must require a JavaScript string, not: " +
          typeof source];
      }
      const module = { id: name, exports: {}, parent: undefined, current: source };
      unit.modules.set(name, module);
      try {
        const body = evaluate("(function (module, exports, require) { " + source + "\n})");
        apply(body, null, [module, module.exports, requireFrom(path.slice(0, -1))]);
      } catch (error) {
        unit.modules.delete(name);
        throw ["error", "compilation_error", "Module require('" + id + "') raised error " + error];
      }
      return module.exports;
    };
  };
  global.require = requireFrom([]);

  // ---- compiling ----------------------------------------------------------------------------

  // CouchDB's engine takes an anonymous function for an expression even where a statement
  // begins.  A leading "0," makes it one here and leaves its value alone.
  const ANONYMOUS = /^((?:\s|\/\/[^\n]*\n|\/\*[^]*?\*\/)*)function(\s*\()/;
  const ANONYMOUS_LATER = /([;}]\s*)function(\s*\()/g;

  const run = function (source) {
    const first = source.replace(ANONYMOUS, "$10,function$2");
    try {
      return evaluate(first);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const second = first.replace(ANONYMOUS_LATER, "$10,function$2");
      if (second === first) throw error;
      try {
        return evaluate(second);
      } catch (_) {
        throw error;
      }
    }
  };
  const compile = function (source) {
    if (!source) throw ["error", "not_found", "missing function"];
    let result;
    try {
      result = run(source);
    } catch (error) {
      throw ["error", "compilation_error", String(error) + " (" + source + ")"];
    }
    if (typeof result !== "function") {
      throw ["error", "compilation_error",
        "Expression does not eval to a function. (" + source + ")"];
    }
    return result;
  };
  const compiled = function (path) {
    const name = path.join(".");
    let body = unit.functions.get(name);
    if (!body) {
      let source = unit.root;
      for (const member of path) {
        source = source === null || typeof source !== "object" ? undefined : source[member];
        if (source === undefined || source === null) {
          throw ["error", "not_found", "missing " + path[0] + " function " + path.join("/")];
        }
      }
      body = compile(source);
      unit.functions.set(name, body);
    }
    return body;
  };

  // ---- errors ---------------------------------------------------------------------------------

  // A thrown value becomes [error, reason], as CouchDB words it.
  const describe = function (error) {
    if (Array.isArray(error) && (error[0] === "error" || error[0] === "fatal")) {
      return [String(error[1]), error[2] === undefined ? "" : error[2]];
    }
    if (ranOut(error)) return ["os_process_error", "{exit_status,1}"];
    if (error instanceof Error) return [error.name, "{[]}"];
    if (error === null || error === undefined) return ["TypeError", "{[]}"];
    if (typeof error === "object") {
      for (const name of ["forbidden", "unauthorized"]) {
        if (error[name] !== undefined) return [name, error[name]];
      }
      const names = Object.keys(error);
      if (typeof error.error === "string") return [error.error, error.reason || ""];
      return ["unknown_error", names.length ? error[names[0]] : ""];
    }
    return ["unknown_error", error];
  };
  const text = function (value) {
    return typeof value === "string" ? value : String(stringify(value));
  };
  const failure = function (error) {
    const [name, reason] = describe(error);
    const kept = name === "forbidden" || name === "unauthorized";
    return { error: name, reason: kept ? reason : text(reason) };
  };
  const ranOut = function (error) {
    return error instanceof InternalError && error.message === "out of memory";
  };
  const isFatal = function (error) {
    return error === "fatal_error" || (Array.isArray(error) && error[0] === "fatal") ||
      ranOut(error);
  };
  const note = function (where, error) {
    global.log("function raised exception in " + where + ": " + error);
  };

  // ---- views ------------------------------------------------------------------------------------

  const freeze = function (value) {
    Object.freeze(value);
    for (const name in value) {
      const member = value[name];
      if (typeof member === "object" && member !== null) freeze(member);
    }
  };
  const mapOne = function (doc) {
    if (unit.freezes) freeze(doc);
    const rows = [];
    for (let index = 0; index < unit.maps.length; index++) {
      emitted = [];
      try {
        unit.maps[index](doc);
      } catch (error) {
        if (isFatal(error)) throw error;
        note("map", error);
        emitted = [];
      }
      rows.push(emitted);
    }
    return rows;
  };
  // Maps documents until all are done or the budget (milliseconds) is spent: the answer says
  // by its length how many were mapped.
  const mapMany = function (docs, budget) {
    const answer = [];
    const end = now() + budget;
    for (const doc of docs) {
      answer.push(mapOne(doc));
      if (now() > end) break;
    }
    return answer;
  };
  const reduceOne = function (body, call) {
    try {
      const value = body(call[0], call[1], call[2]);
      return value === undefined ? null : value;
    } catch (error) {
      if (isFatal(error)) throw error;
      note("reduce", error);
      return null;
    }
  };

  // ---- show, list, update -------------------------------------------------------------------------

  const unacceptable = function (type, offers) {
    const known = offers.map((offer) => offer[0]);
    throw ["error", "not_acceptable", "Content-Type " + type +
      " not supported, try one of: " + known.join(", ")];
  };
  const bestOffer = function (req) {
    const offers = session.groups.flat();
    const format = req.query && req.query.format;
    if (format) return offers.find((each) => each[1] === format) || unacceptable(format, offers);
    const accept = req.headers && (req.headers.Accept || req.headers.accept);
    if (!accept) return offers[0];
    const backwards = session.groups.slice().reverse().flat();
    return negotiate(backwards, accept) || unacceptable(accept, backwards);
  };
  const ranges = function (accept) {
    return accept.split(",").map((range) => {
      const [type, ...parameters] = range.trim().split(";");
      const quality = parameters.map((each) => each.trim()).find((each) => each.startsWith("q="));
      return [type.trim(), quality ? parseFloat(quality.slice(2)) : 1];
    });
  };
  const fit = function (mime, range) {
    const plain = mime.split(";")[0].trim();
    if (mime === "*/*" || range === "*/*" || range === "*") return 1;
    if (plain === range) return 3;
    return range.endsWith("/*") && plain.startsWith(range.slice(0, -1)) ? 2 : 0;
  };
  const negotiate = function (offers, accept) {
    let best = null;
    let bestScore = [0, 0];
    for (const offer of offers) {
      for (const [range, quality] of ranges(accept)) {
        const score = [fit(offer[0], range), quality];
        if (!score[0] || !quality) continue;
        if (quality > bestScore[1] || (quality === bestScore[1] && score[0] >= bestScore[0])) {
          best = offer;
          bestScore = score;
        }
      }
    }
    return best;
  };
  const rendering = function (body) {
    try {
      return body();
    } catch (error) {
      if (isFatal(error) || (error && (error[0] === "error" || (error.error && error.reason)))) {
        throw error;
      }
      throw ["error", "render_error", "function raised error: " + error +
        " \nstacktrace: " + (error ? error.stack : undefined)];
    }
  };
  // Runs the function, then what it provides for the type that the client wants.
  const render = function (body, args, req) {
    const value = rendering(() => apply(body, unit.root, args));
    if (!session.groups.length) return [value, {}];
    const offer = bestOffer(req);
    const provided = rendering(() => apply(offer[2], unit.root, args));
    return [provided === undefined ? "" : provided, { "Content-Type": offer[0] }];
  };
  const responseOf = function (value, what) {
    if (value === undefined || value === null) return {};
    if (typeof value === "string") return { body: value };
    if (typeof value === "object") return value;
    throw ["error", "render_error", "undefined response from " + what + " function"];
  };
  const listing = function (input) {
    const body = compiled(["lists", input.name]);
    const [value, headers] = render(body, [input.head, input.req], input.req);
    session.headers = headers;
    if (typeof value === "string") session.chunks.push(value);
  };

  const doors = {
    views(input) {
      unit = {
        root: { views: { lib: input.lib } },
        modules: new Map(),
        freezes: input.freezes,
        maps: input.maps.map(compile),
        reduces: input.reduces.map((source) => source === null ? null : compile(source)),
      };
      return true;
    },
    design(input) {
      unit = { root: input, modules: new Map(), functions: new Map() };
      return true;
    },
    check(input) {
      unit = { root: {}, modules: new Map() };
      for (const source of input) compile(source);
      return true;
    },
    map(input, budget) {
      return mapMany(input, budget);
    },
    reduce(input) {
      const body = unit.reduces[input.view];
      return input.calls.map((call) => reduceOne(body, call));
    },
    validate(input) {
      const body = compiled(["validate_doc_update"]);
      return input.map((args) => {
        try {
          apply(body, unit.root, args);
          return null;
        } catch (error) {
          if (isFatal(error)) throw error;
          return failure(error);
        }
      });
    },
    filter(input) {
      const body = compiled(["filters", input.name]);
      return input.docs.map((doc) => Boolean(apply(body, unit.root, [doc, input.req])));
    },
    filter_view(input) {
      const body = compiled(["views", input.name, "map"]);
      return input.docs.map((doc) => {
        emitted = [];
        body(doc);
        return emitted.length > 0;
      });
    },
    show(input) {
      session = newSession([]);
      const body = compiled(["shows", input.name]);
      const [value, headers] = render(body, [input.doc, input.req], input.req);
      const response = Object.assign({}, session.start, responseOf(value, "show"));
      response.headers = Object.assign({}, headers, response.headers);
      const sent = session.chunks.join("");
      if (sent) response.body = sent + (response.body || "");
      return response;
    },
    list(input) {
      session = newSession(input.rows);
      try {
        listing(input);
      } catch (error) {
        if (!session.started || isFatal(error)) throw error;
        // what was sent since the last row was taken has not left yet, and never does
        const told = Object.assign({ code: 500 }, failure(error));
        if (!session.left) return { code: 500, json: told };
        session.chunks.length = session.left;
        session.chunks.push("\n" + stringify(told) + "\n");
      }
      const response = Object.assign({}, session.start);
      response.headers = Object.assign({}, session.headers, response.headers);
      response.body = session.chunks.join("");
      return response;
    },
    update(input) {
      session = newSession([]);
      const body = compiled(["updates", input.name]);
      const result = rendering(() => apply(body, unit.root, [input.doc, input.req]));
      const response = Array.isArray(result) ? result[1] : null;
      if (response === undefined || response === null) {
        throw ["error", "render_error", "undefined response from update function"];
      }
      return { doc: result[0] === undefined ? null : result[0],
        response: responseOf(response, "update") };
    },
    rewrite(input) {
      const body = compiled(["rewrites"]);
      const result = rendering(() => apply(body, unit.root, [input.req]));
      return result || null;
    },
  };

  const SETUPS = ["views", "design", "check"];
  const separateRealms = function () {
    read = (text) => realm.estrange(parse(text));
    realm.estrangeJson();
  };

  // The one door Python knocks at: the name of a door above, its input as JSON, and for maps
  // the milliseconds it may take.
  const door = function (name, input, budget) {
    logged = [];
    session = null;
    let answer;
    try {
      if (SETUPS.includes(name) && TELLS_REALMS.test(input)) separateRealms();
      answer = stringify({ ok: doors[name](read(input), budget) });
    } catch (error) {
      answer = stringify(Object.assign({ fatal: isFatal(error) }, failure(error)));
    }
    emitted = [];
    // joined, for a long string that "+" made is a rope, which does not get through the door
    return logged.length ? [answer.slice(0, -1), ',"log":', stringify(logged), "}"].join("") : answer;
  };
  return door;
})
