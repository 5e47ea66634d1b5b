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
    if (value === null || typeof value !== "object") return value;
    if (!("stack" in value && "name" in value && "message" in value)) return value;
    return { error: value.name, message: value.message };
  };
  global.emit = function emit(key, value) {
    emitted.push([key, typeof value === "object" ? shown(value) : value]);
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

  // Any function may call these; what they say counts in a show, list or update function.
  const newSession = function (rows) {
    return {
      offers: [], type: null, head: {}, headIsNew: false, chunks: [],
      rows: rows, position: 0, begun: false, ended: false, answer: null, sent: [],
    };
  };
  const typesByName = new Map();
  const namesByType = new Map();
  global.registerType = function registerType() {
    const [name, ...types] = arguments;
    typesByName.set(name, types);
    for (const type of types) namesByType.set(type, name);
  };
  global.provides = function provides(name, body) {
    session.offers.push([name, body]);
  };
  global.start = function start(response) {
    session.head = response || {};
    session.headIsNew = true;
  };
  global.send = function send(chunk) {
    session.chunks.push(chunk.toString());
  };
  global.getRow = function getRow() {
    if (session.ended) return null;
    if (session.begun) flush();
    else begin();
    if (session.position < session.rows.length) return session.rows[session.position++];
    session.ended = true;
    return null;
  };

  const KNOWN_TYPES = [
    ["all", "*/*"],
    ["text", "text/plain; charset=utf-8", "txt"],
    ["html", "text/html; charset=utf-8"],
    ["xhtml", "application/xhtml+xml", "xhtml"],
    ["xml", "application/xml", "text/xml", "application/x-xml"],
    ["js", "text/javascript", "application/javascript", "application/x-javascript"],
    ["css", "text/css"],
    ["ics", "text/calendar"],
    ["csv", "text/csv"],
    ["rss", "application/rss+xml"],
    ["atom", "application/atom+xml"],
    ["yaml", "application/x-yaml", "text/yaml"],
    ["multipart_form", "multipart/form-data"],
    ["url_encoded_form", "application/x-www-form-urlencoded"],
    ["json", "application/json", "text/x-json"],
  ];
  for (const known of KNOWN_TYPES) global.registerType(...known);

  const withType = function (response) {
    const headers = response.headers = response.headers || {};
    if (session.type) headers["Content-Type"] = headers["Content-Type"] || session.type;
    return response;
  };
  // The head and what was sent go to the client with the first row, and from then on with each.
  // A later head counts as long as nothing was sent.
  const begin = function () {
    session.begun = true;
    session.head = withType(session.head);
    session.headIsNew = true;
    flush();
  };
  const flush = function () {
    if (session.headIsNew && !session.sent.length) session.answer = session.head;
    for (const chunk of session.chunks) {
      const text = chunkText(chunk);
      if (text) session.sent.push(text);
    }
    session.chunks = [];
    session.head = {};
    session.headIsNew = false;
  };
  // What a list function returns goes through Erlang: a number is a byte, an array its parts.
  const chunkText = function (chunk) {
    if (typeof chunk === "string") return chunk;
    if (Array.isArray(chunk)) return chunk.map(chunkText).join("");
    if (Number.isInteger(chunk) && chunk >= 0 && chunk < 256) return String.fromCharCode(chunk);
    throw ["error", "unknown_error", "badarg"];
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
    // it has two parameters in CouchDB
    return function require(id, _module) {
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
  const require = requireFrom([]);

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
  // Every function has globals of its own in CouchDB.  What a source declares beside its
  // function is there while the function runs, and away while others do.
  const takeAway = function (names) {
    const taken = new Map();
    for (const name of names) {
      taken.set(name, global[name]);
      delete global[name];
    }
    return taken;
  };
  const withOwnGlobals = function (body, names) {
    let own = takeAway(names);
    return function () {
      for (const [name, value] of own) global[name] = value;
      try {
        return apply(body, this, arguments);
      } finally {
        own = takeAway(names);
      }
    };
  };
  const compile = function (source) {
    if (!source) throw ["error", "not_found", "missing function"];
    const known = new Set(Reflect.ownKeys(global));
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
    const declared = Reflect.ownKeys(global).filter((name) => !known.has(name));
    return declared.length ? withOwnGlobals(result, declared) : result;
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

  // A thrown value becomes a name and a reason, as CouchDB tells its Erlang side.
  const describe = function (error) {
    if (error === null || error === undefined) return ["internal_error", null];
    if (ranOut(error)) return ["os_process_error", "{exit_status,1}"];
    if (error[0] === "error" || error[0] === "fatal") return [error[1], error[2]];
    if (error.name === "InternalError") return [error.name, error.message];
    if (error.error && error.reason) return [error.error, error.reason];
    return error.name ? [error.name, error] : ["unnamed_error", error.stack];
  };
  const failure = function (error) {
    const [name, reason] = describe(error);
    return { error: String(name), reason: reason === undefined ? null : reason };
  };
  const ranOut = (error) => error instanceof InternalError && error.message === "out of memory";
  const isFatal = function (error) {
    return error !== null && error !== undefined && (error[0] === "fatal" || ranOut(error));
  };
  // What a map or reduce function throws is noted, but for what ends the whole call.
  const noteViewError = function (error, doc) {
    if (error === null || error === undefined) throw new TypeError("nothing was thrown");
    if (error === "fatal_error") {
      throw ["error", "map_runtime_error", "function raised 'fatal_error'"];
    }
    if (isFatal(error)) throw error;
    if (error.name === "InternalError") throw ["fatal", error.name, error.message];
    if (TOO_DEEP.test(error.message)) throw ["fatal", "os_process_error", "{exit_status,139}"];
    const where = doc ? " with doc._id " + doc._id : "";
    global.log("function raised exception " + error + where);
  };
  const TOO_DEEP = /^Maximum call stack size exceeded/;

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
        noteViewError(error, doc);
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
  // Maps of views may call what those of search indexes call; nothing comes of it.
  const indexed = function index(name, value, options) {
    const refuse = (message) => { throw { name: "TypeError", message }; };
    if (typeof name !== "string") refuse("name must be a string not " + typeof name);
    if (name.startsWith("_")) {
      throw { name: "ReservedName", message: "name must not start with an underscore" };
    }
    if (!["string", "number", "boolean"].includes(typeof value)) {
      refuse("value must be a string, a number or boolean not " + typeof value);
    }
    if (options && typeof options !== "object") {
      refuse("options must be an object not " + typeof options);
    }
  };
  const reduceOne = function (body, call) {
    try {
      const value = body(call[0], call[1], call[2]);
      return value === undefined ? null : value;
    } catch (error) {
      noteViewError(error);
      return null;
    }
  };

  // ---- show, list, update -------------------------------------------------------------------------

  const parseType = function (text) {
    const [whole, ...rest] = text.split(";");
    const name = whole.trim() === "*" ? "*/*" : whole.trim();
    const parameters = {};
    for (const part of [whole, ...rest]) {
      const pair = part.split("=");
      if (pair.length === 2) parameters[pair[0].trim()] = pair[1].trim();
    }
    const [type, subtype] = name.split("/");
    return { type, subtype, parameters };
  };
  const quality = function (range) {
    const value = parseFloat(range.parameters.q);
    return value >= 0 && value <= 1 ? value : 1;
  };
  const isLike = (one, other) => one === other || one === "*" || other === "*";
  const fitness = function (offer, range) {
    if (!isLike(offer.type, range.type) || !isLike(offer.subtype, range.subtype)) return -1;
    let fit = (offer.type === range.type ? 100 : 0) + (offer.subtype === range.subtype ? 10 : 0);
    for (const name in offer.parameters) {
      const wanted = range.parameters[name];
      if (name !== "q" && wanted && wanted === offer.parameters[name]) fit += 1;
    }
    return fit;
  };
  // The best of several types for a client.  CouchDB compares what it found as text.
  const negotiate = function (types, accept) {
    const ranges = accept.split(",").map(parseType);
    const found = types.map((type, place) => {
      const offer = parseType(type);
      let best = [-1, 0];
      for (const range of ranges) {
        const fit = fitness(offer, range);
        if (fit > best[0]) best = [fit, quality(range)];
      }
      return { text: [best, place, type].join(","), quality: best[1], type };
    });
    const best = found.reduce((one, other) => other.text >= one.text ? other : one);
    return best.quality ? best.type : "";
  };
  const wantedOffer = function (req) {
    const offers = session.offers;
    const format = req.query && req.query.format;
    if (format) {
      session.type = typesByName.get(format)[0];
      return format;
    }
    if (!req.headers.Accept) {
      session.type = typesByName.get(offers[0][0])[0];
      return offers[0][0];
    }
    const types = offers.reverse().flatMap((offer) => typesByName.get(offer[0]) || []);
    session.type = negotiate(types, req.headers.Accept);
    return namesByType.get(session.type);
  };
  const provided = function (req) {
    const name = wantedOffer(req);
    const offer = name && session.offers.find((each) => each[0] === name);
    if (offer && offer[1]) return apply(offer[1], unit.root, []);
    const known = session.offers.map((each) => typesByName.get(each[0]).join(", ") || each[0]);
    throw ["error", "not_acceptable", "Content-Type " + (req.headers.Accept || name) +
      " not supported, try one of: " + known.join(", ")];
  };
  const renderError = function (error, name) {
    if ((error.error && error.reason) || error[0] === "error" || error[0] === "fatal") return error;
    if (isFatal(error)) return error;
    return ["error", name || "render_error", "function raised error: " + error +
      " \nstacktrace: " + error.stack];
  };
  const rendering = function (body, name) {
    try {
      return body();
    } catch (error) {
      throw renderError(error, name);
    }
  };
  const wrapped = (value) => typeof value === "string" ? { body: value } : value;
  const checked = function (value, what) {
    if (typeof value === "object" && value !== null) return value;
    throw ["error", "render_error", "undefined response from " + what + " function"];
  };
  const showOf = function (body, args) {
    let response = wrapped(apply(body, unit.root, args) || {});
    if (session.chunks.length) {
      response.headers = response.headers || {};
      Object.assign(response.headers, session.head);
      response.body = session.chunks.join("") + (response.body || "");
      session.chunks = [];
    }
    if (session.offers.length) {
      const added = wrapped(provided(args[1]) || {});
      response.body = (response.body || "") + session.chunks.join("");
      response.body += added.body || "";
      response = withType(response);
    }
    return checked(response, "show");
  };
  const listOf = function (body, args) {
    let tail = apply(body, unit.root, args);
    if (session.offers.length) tail = provided(args[1]);
    if (!session.begun) global.getRow();
    if (tail !== undefined) session.chunks.push(tail);
    flush();
  };
  // What a list answers: the head that counts, null where nothing was sent, and a failure that
  // came when the answer had begun; `atEnd` says that no row was left.
  const listed = function (error) {
    const answer = { head: session.answer, body: session.sent.join("") };
    if (error) answer.failure = failure(error);
    answer.atEnd = session.ended;
    return answer;
  };

  // What a validate function throws is an error of its own, or says why it refuses.
  const refusal = function (error) {
    if (error === null || error === undefined) error = new TypeError();
    if (error.name && error.stack) return failure(error);
    if (error[0] === "error") return failure(error);
    return { thrown: error };
  };

  const doors = {
    views(input) {
      global.index = indexed;
      global.require = require;
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
      global.require = require;
      input._module_cache = {};
      unit = { root: input, modules: new Map(), functions: new Map() };
      return true;
    },
    check(input) {
      global.index = indexed;
      global.require = require;
      unit = { root: {}, modules: new Map() };
      for (const source of input) compile(source);
      return true;
    },
    map(input, budget) {
      global.index = indexed;
      global.require = require;
      return mapMany(input, budget);
    },
    reduce(input) {
      delete global.index;
      delete global.require;
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
          return refusal(error);
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
      const body = compiled(["shows", input.name]);
      try {
        return rendering(() => showOf(body, [input.doc, input.req]));
      } catch (error) {
        if (input.doc !== null || input.req.path.length <= 5) throw error;
        throw ["error", "not_found", "document not found"];
      }
    },
    list(input) {
      session = newSession(input.rows);
      const body = compiled(["lists", input.name]);
      try {
        rendering(() => listOf(body, [input.head, input.req]));
        return listed(null);
      } catch (error) {
        if (!session.begun || isFatal(error)) throw error;
        return listed(error);
      }
    },
    update(input) {
      const body = compiled(["updates", input.name]);
      return rendering(() => {
        const result = apply(body, unit.root, [input.doc, input.req]);
        const response = wrapped(checked(wrapped(result[1]), "update"));
        return { doc: result[0] === undefined ? null : result[0], response };
      });
    },
    rewrite(input) {
      const body = compiled(["rewrites"]);
      const result = rendering(() => apply(body, unit.root, [input.req]), "rewrite_error");
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
    session = newSession([]);
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
