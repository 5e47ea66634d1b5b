// Makes of this engine's globals those of CouchDB's, and knows a second realm.
//
// CouchDB runs a function in one realm and parses its documents in another: `doc.tags` is no
// `instanceof` the function's `Array`, and what a module adds to `Array.prototype` is not there.
// There is one realm here; where a function could tell, what it gets has the prototypes of
// another one, which are copies.
(function (global) {
  const { defineProperty, getOwnPropertyDescriptor, setPrototypeOf } = Object;
  const { ownKeys } = Reflect;
  const isArray = Array.isArray;

  // ---- what CouchDB's engine does not have ---------------------------------------------------

  const NO_GLOBALS = [
    "ArrayBuffer", "AsyncDisposableStack", "Atomics", "BigInt64Array", "BigUint64Array",
    "DOMException", "DataView", "DisposableStack", "FinalizationRegistry", "Float16Array",
    "Float32Array", "Float64Array", "Int16Array", "Int32Array", "Int8Array", "Promise", "Proxy",
    "SharedArrayBuffer", "SuppressedError", "Uint16Array", "Uint32Array", "Uint8Array",
    "Uint8ClampedArray", "WeakRef", "atob", "btoa", "performance", "queueMicrotask",
  ];
  const NO_MEMBERS = [
    [Array, "fromAsync"],
    [Error, "captureStackTrace", "prepareStackTrace", "stackTraceLimit"],
    [Iterator, "zip", "zipKeyed"],
    [Iterator.prototype, Symbol.dispose, "chunks", "includes", "join", "windows"],
    [String.prototype, "localeCompare", "normalize"],
  ];
  const remove = function () {
    for (const name of NO_GLOBALS) delete global[name];
    for (const [owner, ...names] of NO_MEMBERS) {
      for (const name of names) delete owner[name];
    }
    const groupBy = Map.groupBy;
    defineProperty(Set, "groupBy", { value: groupBy, writable: true, configurable: true });
  };

  // ---- the other realm -----------------------------------------------------------------------

  const copy = function (from, to) {
    for (const name of ownKeys(from)) {
      const own = getOwnPropertyDescriptor(to, name);
      if (!own || own.configurable) {
        defineProperty(to, name, getOwnPropertyDescriptor(from, name));
      }
    }
    return to;
  };
  const constructorOf = function (prototype, body, original) {
    copy(original, body);
    defineProperty(body, "prototype", { value: prototype, writable: false });
    defineProperty(prototype, "constructor", { value: body, writable: true, configurable: true });
  };
  const makeRealm = function () {
    const object = copy(Object.prototype, Object.create(null));
    constructorOf(object, function (value) { return estrange(Object(value)); }, Object);
    const ForeignArray = class extends Array {};
    const array = copy(Array.prototype, ForeignArray.prototype);
    setPrototypeOf(array, object);
    constructorOf(array, ForeignArray, Array);
    const error = copy(Error.prototype, Object.create(object));
    const syntaxError = copy(SyntaxError.prototype, Object.create(error));
    return { object, array, syntaxError };
  };
  let realm = null;

  // Gives a value that JSON.parse made the prototypes of the other realm, with all it holds.
  const estrange = function (value) {
    if (typeof value !== "object" || value === null) return value;
    realm = realm || makeRealm();
    return turn(value);
  };
  const turn = function (value) {
    if (isArray(value)) {
      setPrototypeOf(value, realm.array);
      for (let at = 0; at < value.length; at++) {
        const member = value[at];
        if (typeof member === "object" && member !== null) turn(member);
      }
    } else {
      setPrototypeOf(value, realm.object);
      for (const name in value) {
        const member = value[name];
        if (typeof member === "object" && member !== null) turn(member);
      }
    }
    return value;
  };
  // The global JSON of CouchDB is of the other realm as well, and what it throws.
  const estrangeJson = function () {
    const parse = JSON.parse;
    const value = function (text, reviver) {
      try {
        return estrange(parse(text, reviver));
      } catch (error) {
        if (error instanceof SyntaxError) setPrototypeOf(error, realm.syntaxError);
        throw error;
      }
    };
    estrange({});
    defineProperty(value, "name", { value: "parse" });
    defineProperty(JSON, "parse", { value, writable: true, configurable: true });
  };

  remove();
  return { estrange, estrangeJson };
})
