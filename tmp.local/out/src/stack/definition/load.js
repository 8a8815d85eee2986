import { createRequire } from 'module'; const require = createRequire(import.meta.url);
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __require = /* @__PURE__ */ ((x) => typeof require !== "undefined" ? require : typeof Proxy !== "undefined" ? new Proxy(x, {
  get: (a, b) => (typeof require !== "undefined" ? require : a)[b]
}) : x)(function(x) {
  if (typeof require !== "undefined") return require.apply(this, arguments);
  throw Error('Dynamic require of "' + x + '" is not supported');
});
var __commonJS = (cb, mod) => function __require2() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e) {
    throw mod = 0, e;
  }
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key2 of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key2) && key2 !== except)
        __defProp(to, key2, { get: () => from[key2], enumerable: !(desc = __getOwnPropDesc(from, key2)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target2) => (target2 = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target2, "default", { value: mod, enumerable: true }) : target2,
  mod
));

// node_modules/yaml/dist/nodes/identity.js
var require_identity = __commonJS({
  "node_modules/yaml/dist/nodes/identity.js"(exports) {
    "use strict";
    var ALIAS = /* @__PURE__ */ Symbol.for("yaml.alias");
    var DOC = /* @__PURE__ */ Symbol.for("yaml.document");
    var MAP = /* @__PURE__ */ Symbol.for("yaml.map");
    var PAIR = /* @__PURE__ */ Symbol.for("yaml.pair");
    var SCALAR = /* @__PURE__ */ Symbol.for("yaml.scalar");
    var SEQ = /* @__PURE__ */ Symbol.for("yaml.seq");
    var NODE_TYPE = /* @__PURE__ */ Symbol.for("yaml.node.type");
    var isAlias2 = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === ALIAS;
    var isDocument = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === DOC;
    var isMap2 = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === MAP;
    var isPair = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === PAIR;
    var isScalar3 = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === SCALAR;
    var isSeq2 = (node) => !!node && typeof node === "object" && node[NODE_TYPE] === SEQ;
    function isCollection(node) {
      if (node && typeof node === "object")
        switch (node[NODE_TYPE]) {
          case MAP:
          case SEQ:
            return true;
        }
      return false;
    }
    function isNode(node) {
      if (node && typeof node === "object")
        switch (node[NODE_TYPE]) {
          case ALIAS:
          case MAP:
          case SCALAR:
          case SEQ:
            return true;
        }
      return false;
    }
    var hasAnchor = (node) => (isScalar3(node) || isCollection(node)) && !!node.anchor;
    exports.ALIAS = ALIAS;
    exports.DOC = DOC;
    exports.MAP = MAP;
    exports.NODE_TYPE = NODE_TYPE;
    exports.PAIR = PAIR;
    exports.SCALAR = SCALAR;
    exports.SEQ = SEQ;
    exports.hasAnchor = hasAnchor;
    exports.isAlias = isAlias2;
    exports.isCollection = isCollection;
    exports.isDocument = isDocument;
    exports.isMap = isMap2;
    exports.isNode = isNode;
    exports.isPair = isPair;
    exports.isScalar = isScalar3;
    exports.isSeq = isSeq2;
  }
});

// node_modules/yaml/dist/visit.js
var require_visit = __commonJS({
  "node_modules/yaml/dist/visit.js"(exports) {
    "use strict";
    var identity = require_identity();
    var BREAK = /* @__PURE__ */ Symbol("break visit");
    var SKIP = /* @__PURE__ */ Symbol("skip children");
    var REMOVE2 = /* @__PURE__ */ Symbol("remove node");
    function visit2(node, visitor) {
      const visitor_ = initVisitor(visitor);
      if (identity.isDocument(node)) {
        const cd = visit_(null, node.contents, visitor_, Object.freeze([node]));
        if (cd === REMOVE2)
          node.contents = null;
      } else
        visit_(null, node, visitor_, Object.freeze([]));
    }
    visit2.BREAK = BREAK;
    visit2.SKIP = SKIP;
    visit2.REMOVE = REMOVE2;
    function visit_(key2, node, visitor, path) {
      const ctrl = callVisitor(key2, node, visitor, path);
      if (identity.isNode(ctrl) || identity.isPair(ctrl)) {
        replaceNode(key2, path, ctrl);
        return visit_(key2, ctrl, visitor, path);
      }
      if (typeof ctrl !== "symbol") {
        if (identity.isCollection(node)) {
          path = Object.freeze(path.concat(node));
          for (let i = 0; i < node.items.length; ++i) {
            const ci = visit_(i, node.items[i], visitor, path);
            if (typeof ci === "number")
              i = ci - 1;
            else if (ci === BREAK)
              return BREAK;
            else if (ci === REMOVE2) {
              node.items.splice(i, 1);
              i -= 1;
            }
          }
        } else if (identity.isPair(node)) {
          path = Object.freeze(path.concat(node));
          const ck = visit_("key", node.key, visitor, path);
          if (ck === BREAK)
            return BREAK;
          else if (ck === REMOVE2)
            node.key = null;
          const cv = visit_("value", node.value, visitor, path);
          if (cv === BREAK)
            return BREAK;
          else if (cv === REMOVE2)
            node.value = null;
        }
      }
      return ctrl;
    }
    async function visitAsync(node, visitor) {
      const visitor_ = initVisitor(visitor);
      if (identity.isDocument(node)) {
        const cd = await visitAsync_(null, node.contents, visitor_, Object.freeze([node]));
        if (cd === REMOVE2)
          node.contents = null;
      } else
        await visitAsync_(null, node, visitor_, Object.freeze([]));
    }
    visitAsync.BREAK = BREAK;
    visitAsync.SKIP = SKIP;
    visitAsync.REMOVE = REMOVE2;
    async function visitAsync_(key2, node, visitor, path) {
      const ctrl = await callVisitor(key2, node, visitor, path);
      if (identity.isNode(ctrl) || identity.isPair(ctrl)) {
        replaceNode(key2, path, ctrl);
        return visitAsync_(key2, ctrl, visitor, path);
      }
      if (typeof ctrl !== "symbol") {
        if (identity.isCollection(node)) {
          path = Object.freeze(path.concat(node));
          for (let i = 0; i < node.items.length; ++i) {
            const ci = await visitAsync_(i, node.items[i], visitor, path);
            if (typeof ci === "number")
              i = ci - 1;
            else if (ci === BREAK)
              return BREAK;
            else if (ci === REMOVE2) {
              node.items.splice(i, 1);
              i -= 1;
            }
          }
        } else if (identity.isPair(node)) {
          path = Object.freeze(path.concat(node));
          const ck = await visitAsync_("key", node.key, visitor, path);
          if (ck === BREAK)
            return BREAK;
          else if (ck === REMOVE2)
            node.key = null;
          const cv = await visitAsync_("value", node.value, visitor, path);
          if (cv === BREAK)
            return BREAK;
          else if (cv === REMOVE2)
            node.value = null;
        }
      }
      return ctrl;
    }
    function initVisitor(visitor) {
      if (typeof visitor === "object" && (visitor.Collection || visitor.Node || visitor.Value)) {
        return Object.assign({
          Alias: visitor.Node,
          Map: visitor.Node,
          Scalar: visitor.Node,
          Seq: visitor.Node
        }, visitor.Value && {
          Map: visitor.Value,
          Scalar: visitor.Value,
          Seq: visitor.Value
        }, visitor.Collection && {
          Map: visitor.Collection,
          Seq: visitor.Collection
        }, visitor);
      }
      return visitor;
    }
    function callVisitor(key2, node, visitor, path) {
      if (typeof visitor === "function")
        return visitor(key2, node, path);
      if (identity.isMap(node))
        return visitor.Map?.(key2, node, path);
      if (identity.isSeq(node))
        return visitor.Seq?.(key2, node, path);
      if (identity.isPair(node))
        return visitor.Pair?.(key2, node, path);
      if (identity.isScalar(node))
        return visitor.Scalar?.(key2, node, path);
      if (identity.isAlias(node))
        return visitor.Alias?.(key2, node, path);
      return void 0;
    }
    function replaceNode(key2, path, node) {
      const parent = path[path.length - 1];
      if (identity.isCollection(parent)) {
        parent.items[key2] = node;
      } else if (identity.isPair(parent)) {
        if (key2 === "key")
          parent.key = node;
        else
          parent.value = node;
      } else if (identity.isDocument(parent)) {
        parent.contents = node;
      } else {
        const pt = identity.isAlias(parent) ? "alias" : "scalar";
        throw new Error(`Cannot replace node with ${pt} parent`);
      }
    }
    exports.visit = visit2;
    exports.visitAsync = visitAsync;
  }
});

// node_modules/yaml/dist/doc/directives.js
var require_directives = __commonJS({
  "node_modules/yaml/dist/doc/directives.js"(exports) {
    "use strict";
    var identity = require_identity();
    var visit2 = require_visit();
    var escapeChars = {
      "!": "%21",
      ",": "%2C",
      "[": "%5B",
      "]": "%5D",
      "{": "%7B",
      "}": "%7D"
    };
    var escapeTagName = (tn) => tn.replace(/[!,[\]{}]/g, (ch) => escapeChars[ch]);
    var Directives = class _Directives {
      constructor(yaml, tags) {
        this.docStart = null;
        this.docEnd = false;
        this.yaml = Object.assign({}, _Directives.defaultYaml, yaml);
        this.tags = Object.assign({}, _Directives.defaultTags, tags);
      }
      clone() {
        const copy = new _Directives(this.yaml, this.tags);
        copy.docStart = this.docStart;
        return copy;
      }
      /**
       * During parsing, get a Directives instance for the current document and
       * update the stream state according to the current version's spec.
       */
      atDocument() {
        const res = new _Directives(this.yaml, this.tags);
        switch (this.yaml.version) {
          case "1.1":
            this.atNextDocument = true;
            break;
          case "1.2":
            this.atNextDocument = false;
            this.yaml = {
              explicit: _Directives.defaultYaml.explicit,
              version: "1.2"
            };
            this.tags = Object.assign({}, _Directives.defaultTags);
            break;
        }
        return res;
      }
      /**
       * @param onError - May be called even if the action was successful
       * @returns `true` on success
       */
      add(line, onError) {
        if (this.atNextDocument) {
          this.yaml = { explicit: _Directives.defaultYaml.explicit, version: "1.1" };
          this.tags = Object.assign({}, _Directives.defaultTags);
          this.atNextDocument = false;
        }
        const parts = line.trim().split(/[ \t]+/);
        const name = parts.shift();
        switch (name) {
          case "%TAG": {
            if (parts.length !== 2) {
              onError(0, "%TAG directive should contain exactly two parts");
              if (parts.length < 2)
                return false;
            }
            const [handle, prefix] = parts;
            this.tags[handle] = prefix;
            return true;
          }
          case "%YAML": {
            this.yaml.explicit = true;
            if (parts.length !== 1) {
              onError(0, "%YAML directive should contain exactly one part");
              return false;
            }
            const [version] = parts;
            if (version === "1.1" || version === "1.2") {
              this.yaml.version = version;
              return true;
            } else {
              const isValid = /^\d+\.\d+$/.test(version);
              onError(6, `Unsupported YAML version ${version}`, isValid);
              return false;
            }
          }
          default:
            onError(0, `Unknown directive ${name}`, true);
            return false;
        }
      }
      /**
       * Resolves a tag, matching handles to those defined in %TAG directives.
       *
       * @returns Resolved tag, which may also be the non-specific tag `'!'` or a
       *   `'!local'` tag, or `null` if unresolvable.
       */
      tagName(source, onError) {
        if (source === "!")
          return "!";
        if (source[0] !== "!") {
          onError(`Not a valid tag: ${source}`);
          return null;
        }
        if (source[1] === "<") {
          const verbatim = source.slice(2, -1);
          if (verbatim === "!" || verbatim === "!!") {
            onError(`Verbatim tags aren't resolved, so ${source} is invalid.`);
            return null;
          }
          if (source[source.length - 1] !== ">")
            onError("Verbatim tags must end with a >");
          return verbatim;
        }
        const [, handle, suffix] = source.match(/^(.*!)([^!]*)$/s);
        if (!suffix)
          onError(`The ${source} tag has no suffix`);
        const prefix = this.tags[handle];
        if (prefix) {
          try {
            return prefix + decodeURIComponent(suffix);
          } catch (error) {
            onError(String(error));
            return null;
          }
        }
        if (handle === "!")
          return source;
        onError(`Could not resolve tag: ${source}`);
        return null;
      }
      /**
       * Given a fully resolved tag, returns its printable string form,
       * taking into account current tag prefixes and defaults.
       */
      tagString(tag) {
        for (const [handle, prefix] of Object.entries(this.tags)) {
          if (tag.startsWith(prefix))
            return handle + escapeTagName(tag.substring(prefix.length));
        }
        return tag[0] === "!" ? tag : `!<${tag}>`;
      }
      toString(doc) {
        const lines = this.yaml.explicit ? [`%YAML ${this.yaml.version || "1.2"}`] : [];
        const tagEntries = Object.entries(this.tags);
        let tagNames;
        if (doc && tagEntries.length > 0 && identity.isNode(doc.contents)) {
          const tags = {};
          visit2.visit(doc.contents, (_key, node) => {
            if (identity.isNode(node) && node.tag)
              tags[node.tag] = true;
          });
          tagNames = Object.keys(tags);
        } else
          tagNames = [];
        for (const [handle, prefix] of tagEntries) {
          if (handle === "!!" && prefix === "tag:yaml.org,2002:")
            continue;
          if (!doc || tagNames.some((tn) => tn.startsWith(prefix)))
            lines.push(`%TAG ${handle} ${prefix}`);
        }
        return lines.join("\n");
      }
    };
    Directives.defaultYaml = { explicit: false, version: "1.2" };
    Directives.defaultTags = { "!!": "tag:yaml.org,2002:" };
    exports.Directives = Directives;
  }
});

// node_modules/yaml/dist/doc/anchors.js
var require_anchors = __commonJS({
  "node_modules/yaml/dist/doc/anchors.js"(exports) {
    "use strict";
    var identity = require_identity();
    var visit2 = require_visit();
    function anchorIsValid(anchor) {
      if (/[\x00-\x19\s,[\]{}]/.test(anchor)) {
        const sa = JSON.stringify(anchor);
        const msg = `Anchor must not contain whitespace or control characters: ${sa}`;
        throw new Error(msg);
      }
      return true;
    }
    function anchorNames(root) {
      const anchors = /* @__PURE__ */ new Set();
      visit2.visit(root, {
        Value(_key, node) {
          if (node.anchor)
            anchors.add(node.anchor);
        }
      });
      return anchors;
    }
    function findNewAnchor(prefix, exclude) {
      for (let i = 1; true; ++i) {
        const name = `${prefix}${i}`;
        if (!exclude.has(name))
          return name;
      }
    }
    function createNodeAnchors(doc, prefix) {
      const aliasObjects = [];
      const sourceObjects = /* @__PURE__ */ new Map();
      let prevAnchors = null;
      return {
        onAnchor: (source) => {
          aliasObjects.push(source);
          prevAnchors ?? (prevAnchors = anchorNames(doc));
          const anchor = findNewAnchor(prefix, prevAnchors);
          prevAnchors.add(anchor);
          return anchor;
        },
        /**
         * With circular references, the source node is only resolved after all
         * of its child nodes are. This is why anchors are set only after all of
         * the nodes have been created.
         */
        setAnchors: () => {
          for (const source of aliasObjects) {
            const ref = sourceObjects.get(source);
            if (typeof ref === "object" && ref.anchor && (identity.isScalar(ref.node) || identity.isCollection(ref.node))) {
              ref.node.anchor = ref.anchor;
            } else {
              const error = new Error("Failed to resolve repeated object (this should not happen)");
              error.source = source;
              throw error;
            }
          }
        },
        sourceObjects
      };
    }
    exports.anchorIsValid = anchorIsValid;
    exports.anchorNames = anchorNames;
    exports.createNodeAnchors = createNodeAnchors;
    exports.findNewAnchor = findNewAnchor;
  }
});

// node_modules/yaml/dist/doc/applyReviver.js
var require_applyReviver = __commonJS({
  "node_modules/yaml/dist/doc/applyReviver.js"(exports) {
    "use strict";
    function applyReviver(reviver, obj, key2, val) {
      if (val && typeof val === "object") {
        if (Array.isArray(val)) {
          for (let i = 0, len = val.length; i < len; ++i) {
            const v0 = val[i];
            const v1 = applyReviver(reviver, val, String(i), v0);
            if (v1 === void 0)
              delete val[i];
            else if (v1 !== v0)
              val[i] = v1;
          }
        } else if (val instanceof Map) {
          for (const k of Array.from(val.keys())) {
            const v0 = val.get(k);
            const v1 = applyReviver(reviver, val, k, v0);
            if (v1 === void 0)
              val.delete(k);
            else if (v1 !== v0)
              val.set(k, v1);
          }
        } else if (val instanceof Set) {
          for (const v0 of Array.from(val)) {
            const v1 = applyReviver(reviver, val, v0, v0);
            if (v1 === void 0)
              val.delete(v0);
            else if (v1 !== v0) {
              val.delete(v0);
              val.add(v1);
            }
          }
        } else {
          for (const [k, v0] of Object.entries(val)) {
            const v1 = applyReviver(reviver, val, k, v0);
            if (v1 === void 0)
              delete val[k];
            else if (v1 !== v0)
              val[k] = v1;
          }
        }
      }
      return reviver.call(obj, key2, val);
    }
    exports.applyReviver = applyReviver;
  }
});

// node_modules/yaml/dist/nodes/toJS.js
var require_toJS = __commonJS({
  "node_modules/yaml/dist/nodes/toJS.js"(exports) {
    "use strict";
    var identity = require_identity();
    function toJS(value, arg, ctx) {
      if (Array.isArray(value))
        return value.map((v, i) => toJS(v, String(i), ctx));
      if (value && typeof value.toJSON === "function") {
        if (!ctx || !identity.hasAnchor(value))
          return value.toJSON(arg, ctx);
        const data = { aliasCount: 0, count: 1, res: void 0 };
        ctx.anchors.set(value, data);
        ctx.onCreate = (res2) => {
          data.res = res2;
          delete ctx.onCreate;
        };
        const res = value.toJSON(arg, ctx);
        if (ctx.onCreate)
          ctx.onCreate(res);
        return res;
      }
      if (typeof value === "bigint" && !ctx?.keep)
        return Number(value);
      return value;
    }
    exports.toJS = toJS;
  }
});

// node_modules/yaml/dist/nodes/Node.js
var require_Node = __commonJS({
  "node_modules/yaml/dist/nodes/Node.js"(exports) {
    "use strict";
    var applyReviver = require_applyReviver();
    var identity = require_identity();
    var toJS = require_toJS();
    var NodeBase = class {
      constructor(type) {
        Object.defineProperty(this, identity.NODE_TYPE, { value: type });
      }
      /** Create a copy of this node.  */
      clone() {
        const copy = Object.create(Object.getPrototypeOf(this), Object.getOwnPropertyDescriptors(this));
        if (this.range)
          copy.range = this.range.slice();
        return copy;
      }
      /** A plain JavaScript representation of this node. */
      toJS(doc, { mapAsMap, maxAliasCount, onAnchor, reviver } = {}) {
        if (!identity.isDocument(doc))
          throw new TypeError("A document argument is required");
        const ctx = {
          anchors: /* @__PURE__ */ new Map(),
          doc,
          keep: true,
          mapAsMap: mapAsMap === true,
          mapKeyWarned: false,
          maxAliasCount: typeof maxAliasCount === "number" ? maxAliasCount : 100
        };
        const res = toJS.toJS(this, "", ctx);
        if (typeof onAnchor === "function")
          for (const { count, res: res2 } of ctx.anchors.values())
            onAnchor(res2, count);
        return typeof reviver === "function" ? applyReviver.applyReviver(reviver, { "": res }, "", res) : res;
      }
    };
    exports.NodeBase = NodeBase;
  }
});

// node_modules/yaml/dist/nodes/Alias.js
var require_Alias = __commonJS({
  "node_modules/yaml/dist/nodes/Alias.js"(exports) {
    "use strict";
    var anchors = require_anchors();
    var visit2 = require_visit();
    var identity = require_identity();
    var Node = require_Node();
    var toJS = require_toJS();
    var Alias = class extends Node.NodeBase {
      constructor(source) {
        super(identity.ALIAS);
        this.source = source;
        Object.defineProperty(this, "tag", {
          set() {
            throw new Error("Alias nodes cannot have tags");
          }
        });
      }
      /**
       * Resolve the value of this alias within `doc`, finding the last
       * instance of the `source` anchor before this node.
       */
      resolve(doc, ctx) {
        if (ctx?.maxAliasCount === 0)
          throw new ReferenceError("Alias resolution is disabled");
        let nodes;
        if (ctx?.aliasResolveCache) {
          nodes = ctx.aliasResolveCache;
        } else {
          nodes = [];
          visit2.visit(doc, {
            Node: (_key, node) => {
              if (identity.isAlias(node) || identity.hasAnchor(node))
                nodes.push(node);
            }
          });
          if (ctx)
            ctx.aliasResolveCache = nodes;
        }
        let found = void 0;
        for (const node of nodes) {
          if (node === this)
            break;
          if (node.anchor === this.source)
            found = node;
        }
        if (found && ctx) {
          const { anchors: anchors2, doc: doc2, maxAliasCount } = ctx;
          let data = anchors2.get(found);
          if (!data) {
            toJS.toJS(found, null, ctx);
            data = anchors2.get(found);
          }
          if (data?.res === void 0) {
            const msg = "This should not happen: Alias anchor was not resolved?";
            throw new ReferenceError(msg);
          }
          if (maxAliasCount >= 0) {
            data.count += 1;
            if (data.aliasCount === 0)
              data.aliasCount = getAliasCount(doc2, found, anchors2);
            if (data.count * data.aliasCount > maxAliasCount) {
              const msg = "Excessive alias count indicates a resource exhaustion attack";
              throw new ReferenceError(msg);
            }
          }
        }
        return found;
      }
      toJSON(_arg, ctx) {
        if (!ctx)
          return { source: this.source };
        const source = this.resolve(ctx.doc, ctx);
        if (!source) {
          const msg = `Unresolved alias (the anchor must be set before the alias): ${this.source}`;
          throw new ReferenceError(msg);
        }
        return ctx.anchors.get(source).res;
      }
      toString(ctx, _onComment, _onChompKeep) {
        const src = `*${this.source}`;
        if (ctx) {
          anchors.anchorIsValid(this.source);
          if (ctx.options.verifyAliasOrder && !ctx.anchors.has(this.source)) {
            const msg = `Unresolved alias (the anchor must be set before the alias): ${this.source}`;
            throw new Error(msg);
          }
          if (ctx.implicitKey)
            return `${src} `;
        }
        return src;
      }
    };
    function getAliasCount(doc, node, anchors2) {
      if (identity.isAlias(node)) {
        const source = node.resolve(doc);
        const anchor = anchors2 && source && anchors2.get(source);
        return anchor ? anchor.count * anchor.aliasCount : 0;
      } else if (identity.isCollection(node)) {
        let count = 0;
        for (const item of node.items) {
          const c = getAliasCount(doc, item, anchors2);
          if (c > count)
            count = c;
        }
        return count;
      } else if (identity.isPair(node)) {
        const kc = getAliasCount(doc, node.key, anchors2);
        const vc = getAliasCount(doc, node.value, anchors2);
        return Math.max(kc, vc);
      }
      return 1;
    }
    exports.Alias = Alias;
  }
});

// node_modules/yaml/dist/nodes/Scalar.js
var require_Scalar = __commonJS({
  "node_modules/yaml/dist/nodes/Scalar.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Node = require_Node();
    var toJS = require_toJS();
    var isScalarValue = (value) => !value || typeof value !== "function" && typeof value !== "object";
    var Scalar = class extends Node.NodeBase {
      constructor(value) {
        super(identity.SCALAR);
        this.value = value;
      }
      toJSON(arg, ctx) {
        return ctx?.keep ? this.value : toJS.toJS(this.value, arg, ctx);
      }
      toString() {
        return String(this.value);
      }
    };
    Scalar.BLOCK_FOLDED = "BLOCK_FOLDED";
    Scalar.BLOCK_LITERAL = "BLOCK_LITERAL";
    Scalar.PLAIN = "PLAIN";
    Scalar.QUOTE_DOUBLE = "QUOTE_DOUBLE";
    Scalar.QUOTE_SINGLE = "QUOTE_SINGLE";
    exports.Scalar = Scalar;
    exports.isScalarValue = isScalarValue;
  }
});

// node_modules/yaml/dist/doc/createNode.js
var require_createNode = __commonJS({
  "node_modules/yaml/dist/doc/createNode.js"(exports) {
    "use strict";
    var Alias = require_Alias();
    var identity = require_identity();
    var Scalar = require_Scalar();
    var defaultTagPrefix = "tag:yaml.org,2002:";
    function findTagObject(value, tagName, tags) {
      if (tagName) {
        const match = tags.filter((t) => t.tag === tagName);
        const tagObj = match.find((t) => !t.format) ?? match[0];
        if (!tagObj)
          throw new Error(`Tag ${tagName} not found`);
        return tagObj;
      }
      return tags.find((t) => t.identify?.(value) && !t.format);
    }
    function createNode(value, tagName, ctx) {
      if (identity.isDocument(value))
        value = value.contents;
      if (identity.isNode(value))
        return value;
      if (identity.isPair(value)) {
        const map = ctx.schema[identity.MAP].createNode?.(ctx.schema, null, ctx);
        map.items.push(value);
        return map;
      }
      if (value instanceof String || value instanceof Number || value instanceof Boolean || typeof BigInt !== "undefined" && value instanceof BigInt) {
        value = value.valueOf();
      }
      const { aliasDuplicateObjects, onAnchor, onTagObj, schema, sourceObjects } = ctx;
      let ref = void 0;
      if (aliasDuplicateObjects && value && typeof value === "object") {
        ref = sourceObjects.get(value);
        if (ref) {
          ref.anchor ?? (ref.anchor = onAnchor(value));
          return new Alias.Alias(ref.anchor);
        } else {
          ref = { anchor: null, node: null };
          sourceObjects.set(value, ref);
        }
      }
      if (tagName?.startsWith("!!"))
        tagName = defaultTagPrefix + tagName.slice(2);
      let tagObj = findTagObject(value, tagName, schema.tags);
      if (!tagObj) {
        if (value && typeof value.toJSON === "function") {
          value = value.toJSON();
        }
        if (!value || typeof value !== "object") {
          const node2 = new Scalar.Scalar(value);
          if (ref)
            ref.node = node2;
          return node2;
        }
        tagObj = value instanceof Map ? schema[identity.MAP] : Symbol.iterator in Object(value) ? schema[identity.SEQ] : schema[identity.MAP];
      }
      if (onTagObj) {
        onTagObj(tagObj);
        delete ctx.onTagObj;
      }
      const node = tagObj?.createNode ? tagObj.createNode(ctx.schema, value, ctx) : typeof tagObj?.nodeClass?.from === "function" ? tagObj.nodeClass.from(ctx.schema, value, ctx) : new Scalar.Scalar(value);
      if (tagName)
        node.tag = tagName;
      else if (!tagObj.default)
        node.tag = tagObj.tag;
      if (ref)
        ref.node = node;
      return node;
    }
    exports.createNode = createNode;
  }
});

// node_modules/yaml/dist/nodes/Collection.js
var require_Collection = __commonJS({
  "node_modules/yaml/dist/nodes/Collection.js"(exports) {
    "use strict";
    var createNode = require_createNode();
    var identity = require_identity();
    var Node = require_Node();
    function collectionFromPath(schema, path, value) {
      let v = value;
      for (let i = path.length - 1; i >= 0; --i) {
        const k = path[i];
        if (typeof k === "number" && Number.isInteger(k) && k >= 0) {
          const a = [];
          a[k] = v;
          v = a;
        } else {
          v = /* @__PURE__ */ new Map([[k, v]]);
        }
      }
      return createNode.createNode(v, void 0, {
        aliasDuplicateObjects: false,
        keepUndefined: false,
        onAnchor: () => {
          throw new Error("This should not happen, please report a bug.");
        },
        schema,
        sourceObjects: /* @__PURE__ */ new Map()
      });
    }
    var isEmptyPath = (path) => path == null || typeof path === "object" && !!path[Symbol.iterator]().next().done;
    var Collection = class extends Node.NodeBase {
      constructor(type, schema) {
        super(type);
        Object.defineProperty(this, "schema", {
          value: schema,
          configurable: true,
          enumerable: false,
          writable: true
        });
      }
      /**
       * Create a copy of this collection.
       *
       * @param schema - If defined, overwrites the original's schema
       */
      clone(schema) {
        const copy = Object.create(Object.getPrototypeOf(this), Object.getOwnPropertyDescriptors(this));
        if (schema)
          copy.schema = schema;
        copy.items = copy.items.map((it) => identity.isNode(it) || identity.isPair(it) ? it.clone(schema) : it);
        if (this.range)
          copy.range = this.range.slice();
        return copy;
      }
      /**
       * Adds a value to the collection. For `!!map` and `!!omap` the value must
       * be a Pair instance or a `{ key, value }` object, which may not have a key
       * that already exists in the map.
       */
      addIn(path, value) {
        if (isEmptyPath(path))
          this.add(value);
        else {
          const [key2, ...rest] = path;
          const node = this.get(key2, true);
          if (identity.isCollection(node))
            node.addIn(rest, value);
          else if (node === void 0 && this.schema)
            this.set(key2, collectionFromPath(this.schema, rest, value));
          else
            throw new Error(`Expected YAML collection at ${key2}. Remaining path: ${rest}`);
        }
      }
      /**
       * Removes a value from the collection.
       * @returns `true` if the item was found and removed.
       */
      deleteIn(path) {
        const [key2, ...rest] = path;
        if (rest.length === 0)
          return this.delete(key2);
        const node = this.get(key2, true);
        if (identity.isCollection(node))
          return node.deleteIn(rest);
        else
          throw new Error(`Expected YAML collection at ${key2}. Remaining path: ${rest}`);
      }
      /**
       * Returns item at `key`, or `undefined` if not found. By default unwraps
       * scalar values from their surrounding node; to disable set `keepScalar` to
       * `true` (collections are always returned intact).
       */
      getIn(path, keepScalar) {
        const [key2, ...rest] = path;
        const node = this.get(key2, true);
        if (rest.length === 0)
          return !keepScalar && identity.isScalar(node) ? node.value : node;
        else
          return identity.isCollection(node) ? node.getIn(rest, keepScalar) : void 0;
      }
      hasAllNullValues(allowScalar) {
        return this.items.every((node) => {
          if (!identity.isPair(node))
            return false;
          const n = node.value;
          return n == null || allowScalar && identity.isScalar(n) && n.value == null && !n.commentBefore && !n.comment && !n.tag;
        });
      }
      /**
       * Checks if the collection includes a value with the key `key`.
       */
      hasIn(path) {
        const [key2, ...rest] = path;
        if (rest.length === 0)
          return this.has(key2);
        const node = this.get(key2, true);
        return identity.isCollection(node) ? node.hasIn(rest) : false;
      }
      /**
       * Sets a value in this collection. For `!!set`, `value` needs to be a
       * boolean to add/remove the item from the set.
       */
      setIn(path, value) {
        const [key2, ...rest] = path;
        if (rest.length === 0) {
          this.set(key2, value);
        } else {
          const node = this.get(key2, true);
          if (identity.isCollection(node))
            node.setIn(rest, value);
          else if (node === void 0 && this.schema)
            this.set(key2, collectionFromPath(this.schema, rest, value));
          else
            throw new Error(`Expected YAML collection at ${key2}. Remaining path: ${rest}`);
        }
      }
    };
    exports.Collection = Collection;
    exports.collectionFromPath = collectionFromPath;
    exports.isEmptyPath = isEmptyPath;
  }
});

// node_modules/yaml/dist/stringify/stringifyComment.js
var require_stringifyComment = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyComment.js"(exports) {
    "use strict";
    var stringifyComment = (str) => str.replace(/^(?!$)(?: $)?/gm, "#");
    function indentComment(comment, indent) {
      if (/^\n+$/.test(comment))
        return comment.substring(1);
      return indent ? comment.replace(/^(?! *$)/gm, indent) : comment;
    }
    var lineComment = (str, indent, comment) => str.endsWith("\n") ? indentComment(comment, indent) : comment.includes("\n") ? "\n" + indentComment(comment, indent) : (str.endsWith(" ") ? "" : " ") + comment;
    exports.indentComment = indentComment;
    exports.lineComment = lineComment;
    exports.stringifyComment = stringifyComment;
  }
});

// node_modules/yaml/dist/stringify/foldFlowLines.js
var require_foldFlowLines = __commonJS({
  "node_modules/yaml/dist/stringify/foldFlowLines.js"(exports) {
    "use strict";
    var FOLD_FLOW = "flow";
    var FOLD_BLOCK = "block";
    var FOLD_QUOTED = "quoted";
    function foldFlowLines(text2, indent, mode = "flow", { indentAtStart, lineWidth = 80, minContentWidth = 20, onFold, onOverflow } = {}) {
      if (!lineWidth || lineWidth < 0)
        return text2;
      if (lineWidth < minContentWidth)
        minContentWidth = 0;
      const endStep = Math.max(1 + minContentWidth, 1 + lineWidth - indent.length);
      if (text2.length <= endStep)
        return text2;
      const folds = [];
      const escapedFolds = {};
      let end = lineWidth - indent.length;
      if (typeof indentAtStart === "number") {
        if (indentAtStart > lineWidth - Math.max(2, minContentWidth))
          folds.push(0);
        else
          end = lineWidth - indentAtStart;
      }
      let split = void 0;
      let prev = void 0;
      let overflow = false;
      let i = -1;
      let escStart = -1;
      let escEnd = -1;
      if (mode === FOLD_BLOCK) {
        i = consumeMoreIndentedLines(text2, i, indent.length);
        if (i !== -1)
          end = i + endStep;
      }
      for (let ch; ch = text2[i += 1]; ) {
        if (mode === FOLD_QUOTED && ch === "\\") {
          escStart = i;
          switch (text2[i + 1]) {
            case "x":
              i += 3;
              break;
            case "u":
              i += 5;
              break;
            case "U":
              i += 9;
              break;
            default:
              i += 1;
          }
          escEnd = i;
        }
        if (ch === "\n") {
          if (mode === FOLD_BLOCK)
            i = consumeMoreIndentedLines(text2, i, indent.length);
          end = i + indent.length + endStep;
          split = void 0;
        } else {
          if (ch === " " && prev && prev !== " " && prev !== "\n" && prev !== "	") {
            const next = text2[i + 1];
            if (next && next !== " " && next !== "\n" && next !== "	")
              split = i;
          }
          if (i >= end) {
            if (split) {
              folds.push(split);
              end = split + endStep;
              split = void 0;
            } else if (mode === FOLD_QUOTED) {
              while (prev === " " || prev === "	") {
                prev = ch;
                ch = text2[i += 1];
                overflow = true;
              }
              const j = i > escEnd + 1 ? i - 2 : escStart - 1;
              if (escapedFolds[j])
                return text2;
              folds.push(j);
              escapedFolds[j] = true;
              end = j + endStep;
              split = void 0;
            } else {
              overflow = true;
            }
          }
        }
        prev = ch;
      }
      if (overflow && onOverflow)
        onOverflow();
      if (folds.length === 0)
        return text2;
      if (onFold)
        onFold();
      let res = text2.slice(0, folds[0]);
      for (let i2 = 0; i2 < folds.length; ++i2) {
        const fold = folds[i2];
        const end2 = folds[i2 + 1] || text2.length;
        if (fold === 0)
          res = `
${indent}${text2.slice(0, end2)}`;
        else {
          if (mode === FOLD_QUOTED && escapedFolds[fold])
            res += `${text2[fold]}\\`;
          res += `
${indent}${text2.slice(fold + 1, end2)}`;
        }
      }
      return res;
    }
    function consumeMoreIndentedLines(text2, i, indent) {
      let end = i;
      let start = i + 1;
      let ch = text2[start];
      while (ch === " " || ch === "	") {
        if (i < start + indent) {
          ch = text2[++i];
        } else {
          do {
            ch = text2[++i];
          } while (ch && ch !== "\n");
          end = i;
          start = i + 1;
          ch = text2[start];
        }
      }
      return end;
    }
    exports.FOLD_BLOCK = FOLD_BLOCK;
    exports.FOLD_FLOW = FOLD_FLOW;
    exports.FOLD_QUOTED = FOLD_QUOTED;
    exports.foldFlowLines = foldFlowLines;
  }
});

// node_modules/yaml/dist/stringify/stringifyString.js
var require_stringifyString = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyString.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var foldFlowLines = require_foldFlowLines();
    var getFoldOptions = (ctx, isBlock) => ({
      indentAtStart: isBlock ? ctx.indent.length : ctx.indentAtStart,
      lineWidth: ctx.options.lineWidth,
      minContentWidth: ctx.options.minContentWidth
    });
    var containsDocumentMarker = (str) => /^(%|---|\.\.\.)/m.test(str);
    function lineLengthOverLimit(str, lineWidth, indentLength) {
      if (!lineWidth || lineWidth < 0)
        return false;
      const limit = lineWidth - indentLength;
      const strLen = str.length;
      if (strLen <= limit)
        return false;
      for (let i = 0, start = 0; i < strLen; ++i) {
        if (str[i] === "\n") {
          if (i - start > limit)
            return true;
          start = i + 1;
          if (strLen - start <= limit)
            return false;
        }
      }
      return true;
    }
    function doubleQuotedString(value, ctx) {
      const json = JSON.stringify(value);
      if (ctx.options.doubleQuotedAsJSON)
        return json;
      const { implicitKey } = ctx;
      const minMultiLineLength = ctx.options.doubleQuotedMinMultiLineLength;
      const indent = ctx.indent || (containsDocumentMarker(value) ? "  " : "");
      let str = "";
      let start = 0;
      for (let i = 0, ch = json[i]; ch; ch = json[++i]) {
        if (ch === " " && json[i + 1] === "\\" && json[i + 2] === "n") {
          str += json.slice(start, i) + "\\ ";
          i += 1;
          start = i;
          ch = "\\";
        }
        if (ch === "\\")
          switch (json[i + 1]) {
            case "u":
              {
                str += json.slice(start, i);
                const code = json.substr(i + 2, 4);
                switch (code) {
                  case "0000":
                    str += "\\0";
                    break;
                  case "0007":
                    str += "\\a";
                    break;
                  case "000b":
                    str += "\\v";
                    break;
                  case "001b":
                    str += "\\e";
                    break;
                  case "0085":
                    str += "\\N";
                    break;
                  case "00a0":
                    str += "\\_";
                    break;
                  case "2028":
                    str += "\\L";
                    break;
                  case "2029":
                    str += "\\P";
                    break;
                  default:
                    if (code.substr(0, 2) === "00")
                      str += "\\x" + code.substr(2);
                    else
                      str += json.substr(i, 6);
                }
                i += 5;
                start = i + 1;
              }
              break;
            case "n":
              if (implicitKey || json[i + 2] === '"' || json.length < minMultiLineLength) {
                i += 1;
              } else {
                str += json.slice(start, i) + "\n\n";
                while (json[i + 2] === "\\" && json[i + 3] === "n" && json[i + 4] !== '"') {
                  str += "\n";
                  i += 2;
                }
                str += indent;
                if (json[i + 2] === " ")
                  str += "\\";
                i += 1;
                start = i + 1;
              }
              break;
            default:
              i += 1;
          }
      }
      str = start ? str + json.slice(start) : json;
      return implicitKey ? str : foldFlowLines.foldFlowLines(str, indent, foldFlowLines.FOLD_QUOTED, getFoldOptions(ctx, false));
    }
    function singleQuotedString(value, ctx) {
      if (ctx.options.singleQuote === false || ctx.implicitKey && value.includes("\n") || /[ \t]\n|\n[ \t]/.test(value))
        return doubleQuotedString(value, ctx);
      const indent = ctx.indent || (containsDocumentMarker(value) ? "  " : "");
      const res = "'" + value.replace(/'/g, "''").replace(/\n+/g, `$&
${indent}`) + "'";
      return ctx.implicitKey ? res : foldFlowLines.foldFlowLines(res, indent, foldFlowLines.FOLD_FLOW, getFoldOptions(ctx, false));
    }
    function quotedString(value, ctx) {
      const { singleQuote } = ctx.options;
      let qs;
      if (singleQuote === false)
        qs = doubleQuotedString;
      else {
        const hasDouble = value.includes('"');
        const hasSingle = value.includes("'");
        if (hasDouble && !hasSingle)
          qs = singleQuotedString;
        else if (hasSingle && !hasDouble)
          qs = doubleQuotedString;
        else
          qs = singleQuote ? singleQuotedString : doubleQuotedString;
      }
      return qs(value, ctx);
    }
    var blockEndNewlines;
    try {
      blockEndNewlines = new RegExp("(^|(?<!\n))\n+(?!\n|$)", "g");
    } catch {
      blockEndNewlines = /\n+(?!\n|$)/g;
    }
    function blockString({ comment, type, value }, ctx, onComment, onChompKeep) {
      const { blockQuote, commentString, lineWidth } = ctx.options;
      if (!blockQuote || /\n[\t ]+$/.test(value)) {
        return quotedString(value, ctx);
      }
      const indent = ctx.indent || (ctx.forceBlockIndent || containsDocumentMarker(value) ? "  " : "");
      const literal = blockQuote === "literal" ? true : blockQuote === "folded" || type === Scalar.Scalar.BLOCK_FOLDED ? false : type === Scalar.Scalar.BLOCK_LITERAL ? true : !lineLengthOverLimit(value, lineWidth, indent.length);
      if (!value)
        return literal ? "|\n" : ">\n";
      let chomp;
      let endStart;
      for (endStart = value.length; endStart > 0; --endStart) {
        const ch = value[endStart - 1];
        if (ch !== "\n" && ch !== "	" && ch !== " ")
          break;
      }
      let end = value.substring(endStart);
      const endNlPos = end.indexOf("\n");
      if (endNlPos === -1) {
        chomp = "-";
      } else if (value === end || endNlPos !== end.length - 1) {
        chomp = "+";
        if (onChompKeep)
          onChompKeep();
      } else {
        chomp = "";
      }
      if (end) {
        value = value.slice(0, -end.length);
        if (end[end.length - 1] === "\n")
          end = end.slice(0, -1);
        end = end.replace(blockEndNewlines, `$&${indent}`);
      }
      let startWithSpace = false;
      let startEnd;
      let startNlPos = -1;
      for (startEnd = 0; startEnd < value.length; ++startEnd) {
        const ch = value[startEnd];
        if (ch === " ")
          startWithSpace = true;
        else if (ch === "\n")
          startNlPos = startEnd;
        else
          break;
      }
      let start = value.substring(0, startNlPos < startEnd ? startNlPos + 1 : startEnd);
      if (start) {
        value = value.substring(start.length);
        start = start.replace(/\n+/g, `$&${indent}`);
      }
      const indentSize = indent ? "2" : "1";
      let header = (startWithSpace ? indentSize : "") + chomp;
      if (comment) {
        header += " " + commentString(comment.replace(/ ?[\r\n]+/g, " "));
        if (onComment)
          onComment();
      }
      if (!literal) {
        const foldedValue = value.replace(/\n+/g, "\n$&").replace(/(?:^|\n)([\t ].*)(?:([\n\t ]*)\n(?![\n\t ]))?/g, "$1$2").replace(/\n+/g, `$&${indent}`);
        let literalFallback = false;
        const foldOptions = getFoldOptions(ctx, true);
        if (blockQuote !== "folded" && type !== Scalar.Scalar.BLOCK_FOLDED) {
          foldOptions.onOverflow = () => {
            literalFallback = true;
          };
        }
        const body = foldFlowLines.foldFlowLines(`${start}${foldedValue}${end}`, indent, foldFlowLines.FOLD_BLOCK, foldOptions);
        if (!literalFallback)
          return `>${header}
${indent}${body}`;
      }
      value = value.replace(/\n+/g, `$&${indent}`);
      return `|${header}
${indent}${start}${value}${end}`;
    }
    function plainString(item, ctx, onComment, onChompKeep) {
      const { type, value } = item;
      const { actualString, implicitKey, indent, indentStep, inFlow } = ctx;
      if (implicitKey && value.includes("\n") || inFlow && /[[\]{},]/.test(value)) {
        return quotedString(value, ctx);
      }
      if (/^[\n\t ,[\]{}#&*!|>'"%@`]|^[?-]$|^[?-][ \t]|[\n:][ \t]|[ \t]\n|[\n\t ]#|[\n\t :]$/.test(value)) {
        return implicitKey || inFlow || !value.includes("\n") ? quotedString(value, ctx) : blockString(item, ctx, onComment, onChompKeep);
      }
      if (!implicitKey && !inFlow && type !== Scalar.Scalar.PLAIN && value.includes("\n")) {
        return blockString(item, ctx, onComment, onChompKeep);
      }
      if (containsDocumentMarker(value)) {
        if (indent === "") {
          ctx.forceBlockIndent = true;
          return blockString(item, ctx, onComment, onChompKeep);
        } else if (implicitKey && indent === indentStep) {
          return quotedString(value, ctx);
        }
      }
      const str = value.replace(/\n+/g, `$&
${indent}`);
      if (actualString) {
        const test = (tag) => tag.default && tag.tag !== "tag:yaml.org,2002:str" && tag.test?.test(str);
        const { compat, tags } = ctx.doc.schema;
        if (tags.some(test) || compat?.some(test))
          return quotedString(value, ctx);
      }
      return implicitKey ? str : foldFlowLines.foldFlowLines(str, indent, foldFlowLines.FOLD_FLOW, getFoldOptions(ctx, false));
    }
    function stringifyString(item, ctx, onComment, onChompKeep) {
      const { implicitKey, inFlow } = ctx;
      const ss = typeof item.value === "string" ? item : Object.assign({}, item, { value: String(item.value) });
      let { type } = item;
      if (type !== Scalar.Scalar.QUOTE_DOUBLE) {
        if (/[\x00-\x08\x0b-\x1f\x7f-\x9f\u{D800}-\u{DFFF}]/u.test(ss.value))
          type = Scalar.Scalar.QUOTE_DOUBLE;
      }
      const _stringify = (_type) => {
        switch (_type) {
          case Scalar.Scalar.BLOCK_FOLDED:
          case Scalar.Scalar.BLOCK_LITERAL:
            return implicitKey || inFlow ? quotedString(ss.value, ctx) : blockString(ss, ctx, onComment, onChompKeep);
          case Scalar.Scalar.QUOTE_DOUBLE:
            return doubleQuotedString(ss.value, ctx);
          case Scalar.Scalar.QUOTE_SINGLE:
            return singleQuotedString(ss.value, ctx);
          case Scalar.Scalar.PLAIN:
            return plainString(ss, ctx, onComment, onChompKeep);
          default:
            return null;
        }
      };
      let res = _stringify(type);
      if (res === null) {
        const { defaultKeyType, defaultStringType } = ctx.options;
        const t = implicitKey && defaultKeyType || defaultStringType;
        res = _stringify(t);
        if (res === null)
          throw new Error(`Unsupported default string type ${t}`);
      }
      return res;
    }
    exports.stringifyString = stringifyString;
  }
});

// node_modules/yaml/dist/stringify/stringify.js
var require_stringify = __commonJS({
  "node_modules/yaml/dist/stringify/stringify.js"(exports) {
    "use strict";
    var anchors = require_anchors();
    var identity = require_identity();
    var stringifyComment = require_stringifyComment();
    var stringifyString = require_stringifyString();
    function createStringifyContext(doc, options) {
      const opt = Object.assign({
        blockQuote: true,
        commentString: stringifyComment.stringifyComment,
        defaultKeyType: null,
        defaultStringType: "PLAIN",
        directives: null,
        doubleQuotedAsJSON: false,
        doubleQuotedMinMultiLineLength: 40,
        falseStr: "false",
        flowCollectionPadding: true,
        indentSeq: true,
        lineWidth: 80,
        minContentWidth: 20,
        nullStr: "null",
        simpleKeys: false,
        singleQuote: null,
        trailingComma: false,
        trueStr: "true",
        verifyAliasOrder: true
      }, doc.schema.toStringOptions, options);
      let inFlow;
      switch (opt.collectionStyle) {
        case "block":
          inFlow = false;
          break;
        case "flow":
          inFlow = true;
          break;
        default:
          inFlow = null;
      }
      return {
        anchors: /* @__PURE__ */ new Set(),
        doc,
        flowCollectionPadding: opt.flowCollectionPadding ? " " : "",
        indent: "",
        indentStep: typeof opt.indent === "number" ? " ".repeat(opt.indent) : "  ",
        inFlow,
        options: opt
      };
    }
    function getTagObject(tags, item) {
      if (item.tag) {
        const match = tags.filter((t) => t.tag === item.tag);
        if (match.length > 0)
          return match.find((t) => t.format === item.format) ?? match[0];
      }
      let tagObj = void 0;
      let obj;
      if (identity.isScalar(item)) {
        obj = item.value;
        let match = tags.filter((t) => t.identify?.(obj));
        if (match.length > 1) {
          const testMatch = match.filter((t) => t.test);
          if (testMatch.length > 0)
            match = testMatch;
        }
        tagObj = match.find((t) => t.format === item.format) ?? match.find((t) => !t.format);
      } else {
        obj = item;
        tagObj = tags.find((t) => t.nodeClass && obj instanceof t.nodeClass);
      }
      if (!tagObj) {
        const name = obj?.constructor?.name ?? (obj === null ? "null" : typeof obj);
        throw new Error(`Tag not resolved for ${name} value`);
      }
      return tagObj;
    }
    function stringifyProps(node, tagObj, { anchors: anchors$1, doc }) {
      if (!doc.directives)
        return "";
      const props = [];
      const anchor = (identity.isScalar(node) || identity.isCollection(node)) && node.anchor;
      if (anchor && anchors.anchorIsValid(anchor)) {
        anchors$1.add(anchor);
        props.push(`&${anchor}`);
      }
      const tag = node.tag ?? (tagObj.default ? null : tagObj.tag);
      if (tag)
        props.push(doc.directives.tagString(tag));
      return props.join(" ");
    }
    function stringify(item, ctx, onComment, onChompKeep) {
      if (identity.isPair(item))
        return item.toString(ctx, onComment, onChompKeep);
      if (identity.isAlias(item)) {
        if (ctx.doc.directives)
          return item.toString(ctx);
        if (ctx.resolvedAliases?.has(item)) {
          throw new TypeError(`Cannot stringify circular structure without alias nodes`);
        } else {
          if (ctx.resolvedAliases)
            ctx.resolvedAliases.add(item);
          else
            ctx.resolvedAliases = /* @__PURE__ */ new Set([item]);
          item = item.resolve(ctx.doc);
        }
      }
      let tagObj = void 0;
      const node = identity.isNode(item) ? item : ctx.doc.createNode(item, { onTagObj: (o) => tagObj = o });
      tagObj ?? (tagObj = getTagObject(ctx.doc.schema.tags, node));
      const props = stringifyProps(node, tagObj, ctx);
      if (props.length > 0)
        ctx.indentAtStart = (ctx.indentAtStart ?? 0) + props.length + 1;
      const str = typeof tagObj.stringify === "function" ? tagObj.stringify(node, ctx, onComment, onChompKeep) : identity.isScalar(node) ? stringifyString.stringifyString(node, ctx, onComment, onChompKeep) : node.toString(ctx, onComment, onChompKeep);
      if (!props)
        return str;
      return identity.isScalar(node) || str[0] === "{" || str[0] === "[" ? `${props} ${str}` : `${props}
${ctx.indent}${str}`;
    }
    exports.createStringifyContext = createStringifyContext;
    exports.stringify = stringify;
  }
});

// node_modules/yaml/dist/stringify/stringifyPair.js
var require_stringifyPair = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyPair.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Scalar = require_Scalar();
    var stringify = require_stringify();
    var stringifyComment = require_stringifyComment();
    function stringifyPair({ key: key2, value }, ctx, onComment, onChompKeep) {
      const { allNullValues, doc, indent, indentStep, options: { commentString, indentSeq, simpleKeys } } = ctx;
      let keyComment = identity.isNode(key2) && key2.comment || null;
      if (simpleKeys) {
        if (keyComment) {
          throw new Error("With simple keys, key nodes cannot have comments");
        }
        if (identity.isCollection(key2) || !identity.isNode(key2) && typeof key2 === "object") {
          const msg = "With simple keys, collection cannot be used as a key value";
          throw new Error(msg);
        }
      }
      let explicitKey = !simpleKeys && (!key2 || keyComment && value == null && !ctx.inFlow || identity.isCollection(key2) || (identity.isScalar(key2) ? key2.type === Scalar.Scalar.BLOCK_FOLDED || key2.type === Scalar.Scalar.BLOCK_LITERAL : typeof key2 === "object"));
      ctx = Object.assign({}, ctx, {
        allNullValues: false,
        implicitKey: !explicitKey && (simpleKeys || !allNullValues),
        indent: indent + indentStep
      });
      let keyCommentDone = false;
      let chompKeep = false;
      let str = stringify.stringify(key2, ctx, () => keyCommentDone = true, () => chompKeep = true);
      if (!explicitKey && !ctx.inFlow && str.length > 1024) {
        if (simpleKeys)
          throw new Error("With simple keys, single line scalar must not span more than 1024 characters");
        explicitKey = true;
      }
      if (ctx.inFlow) {
        if (allNullValues || value == null) {
          if (keyCommentDone && onComment)
            onComment();
          return str === "" ? "?" : explicitKey ? `? ${str}` : str;
        }
      } else if (allNullValues && !simpleKeys || value == null && explicitKey) {
        str = `? ${str}`;
        if (keyComment && !keyCommentDone) {
          str += stringifyComment.lineComment(str, ctx.indent, commentString(keyComment));
        } else if (chompKeep && onChompKeep)
          onChompKeep();
        return str;
      }
      if (keyCommentDone)
        keyComment = null;
      if (explicitKey) {
        if (keyComment)
          str += stringifyComment.lineComment(str, ctx.indent, commentString(keyComment));
        str = `? ${str}
${indent}:`;
      } else {
        str = `${str}:`;
        if (keyComment)
          str += stringifyComment.lineComment(str, ctx.indent, commentString(keyComment));
      }
      let vsb, vcb, valueComment;
      if (identity.isNode(value)) {
        vsb = !!value.spaceBefore;
        vcb = value.commentBefore;
        valueComment = value.comment;
      } else {
        vsb = false;
        vcb = null;
        valueComment = null;
        if (value && typeof value === "object")
          value = doc.createNode(value);
      }
      ctx.implicitKey = false;
      if (!explicitKey && !keyComment && identity.isScalar(value))
        ctx.indentAtStart = str.length + 1;
      chompKeep = false;
      if (!indentSeq && indentStep.length >= 2 && !ctx.inFlow && !explicitKey && identity.isSeq(value) && !value.flow && !value.tag && !value.anchor) {
        ctx.indent = ctx.indent.substring(2);
      }
      let valueCommentDone = false;
      const valueStr = stringify.stringify(value, ctx, () => valueCommentDone = true, () => chompKeep = true);
      let ws = " ";
      if (keyComment || vsb || vcb) {
        ws = vsb ? "\n" : "";
        if (vcb) {
          const cs = commentString(vcb);
          ws += `
${stringifyComment.indentComment(cs, ctx.indent)}`;
        }
        if (valueStr === "" && !ctx.inFlow) {
          if (ws === "\n" && valueComment)
            ws = "\n\n";
        } else {
          ws += `
${ctx.indent}`;
        }
      } else if (!explicitKey && identity.isCollection(value)) {
        const vs0 = valueStr[0];
        const nl0 = valueStr.indexOf("\n");
        const hasNewline = nl0 !== -1;
        const flow = ctx.inFlow ?? value.flow ?? value.items.length === 0;
        if (hasNewline || !flow) {
          let hasPropsLine = false;
          if (hasNewline && (vs0 === "&" || vs0 === "!")) {
            let sp0 = valueStr.indexOf(" ");
            if (vs0 === "&" && sp0 !== -1 && sp0 < nl0 && valueStr[sp0 + 1] === "!") {
              sp0 = valueStr.indexOf(" ", sp0 + 1);
            }
            if (sp0 === -1 || nl0 < sp0)
              hasPropsLine = true;
          }
          if (!hasPropsLine)
            ws = `
${ctx.indent}`;
        }
      } else if (valueStr === "" || valueStr[0] === "\n") {
        ws = "";
      }
      str += ws + valueStr;
      if (ctx.inFlow) {
        if (valueCommentDone && onComment)
          onComment();
      } else if (valueComment && !valueCommentDone) {
        str += stringifyComment.lineComment(str, ctx.indent, commentString(valueComment));
      } else if (chompKeep && onChompKeep) {
        onChompKeep();
      }
      return str;
    }
    exports.stringifyPair = stringifyPair;
  }
});

// node_modules/yaml/dist/log.js
var require_log = __commonJS({
  "node_modules/yaml/dist/log.js"(exports) {
    "use strict";
    var node_process = __require("process");
    function debug(logLevel, ...messages) {
      if (logLevel === "debug")
        console.log(...messages);
    }
    function warn(logLevel, warning) {
      if (logLevel === "debug" || logLevel === "warn") {
        if (typeof node_process.emitWarning === "function")
          node_process.emitWarning(warning);
        else
          console.warn(warning);
      }
    }
    exports.debug = debug;
    exports.warn = warn;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/merge.js
var require_merge = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/merge.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Scalar = require_Scalar();
    var MERGE_KEY = "<<";
    var merge2 = {
      identify: (value) => value === MERGE_KEY || typeof value === "symbol" && value.description === MERGE_KEY,
      default: "key",
      tag: "tag:yaml.org,2002:merge",
      test: /^<<$/,
      resolve: () => Object.assign(new Scalar.Scalar(Symbol(MERGE_KEY)), {
        addToJSMap: addMergeToJSMap
      }),
      stringify: () => MERGE_KEY
    };
    var isMergeKey = (ctx, key2) => (merge2.identify(key2) || identity.isScalar(key2) && (!key2.type || key2.type === Scalar.Scalar.PLAIN) && merge2.identify(key2.value)) && ctx?.doc.schema.tags.some((tag) => tag.tag === merge2.tag && tag.default);
    function addMergeToJSMap(ctx, map, value) {
      const source = resolveAliasValue(ctx, value);
      if (identity.isSeq(source))
        for (const it of source.items)
          mergeValue(ctx, map, it);
      else if (Array.isArray(source))
        for (const it of source)
          mergeValue(ctx, map, it);
      else
        mergeValue(ctx, map, source);
    }
    function mergeValue(ctx, map, value) {
      const source = resolveAliasValue(ctx, value);
      if (!identity.isMap(source))
        throw new Error("Merge sources must be maps or map aliases");
      const srcMap = source.toJSON(null, ctx, Map);
      for (const [key2, value2] of srcMap) {
        if (map instanceof Map) {
          if (!map.has(key2))
            map.set(key2, value2);
        } else if (map instanceof Set) {
          map.add(key2);
        } else if (!Object.prototype.hasOwnProperty.call(map, key2)) {
          Object.defineProperty(map, key2, {
            value: value2,
            writable: true,
            enumerable: true,
            configurable: true
          });
        }
      }
      return map;
    }
    function resolveAliasValue(ctx, value) {
      return ctx && identity.isAlias(value) ? value.resolve(ctx.doc, ctx) : value;
    }
    exports.addMergeToJSMap = addMergeToJSMap;
    exports.isMergeKey = isMergeKey;
    exports.merge = merge2;
  }
});

// node_modules/yaml/dist/nodes/addPairToJSMap.js
var require_addPairToJSMap = __commonJS({
  "node_modules/yaml/dist/nodes/addPairToJSMap.js"(exports) {
    "use strict";
    var log = require_log();
    var merge2 = require_merge();
    var stringify = require_stringify();
    var identity = require_identity();
    var toJS = require_toJS();
    function addPairToJSMap(ctx, map, { key: key2, value }) {
      if (identity.isNode(key2) && key2.addToJSMap)
        key2.addToJSMap(ctx, map, value);
      else if (merge2.isMergeKey(ctx, key2))
        merge2.addMergeToJSMap(ctx, map, value);
      else {
        const jsKey = toJS.toJS(key2, "", ctx);
        if (map instanceof Map) {
          map.set(jsKey, toJS.toJS(value, jsKey, ctx));
        } else if (map instanceof Set) {
          map.add(jsKey);
        } else {
          const stringKey = stringifyKey(key2, jsKey, ctx);
          const jsValue = toJS.toJS(value, stringKey, ctx);
          if (stringKey in map)
            Object.defineProperty(map, stringKey, {
              value: jsValue,
              writable: true,
              enumerable: true,
              configurable: true
            });
          else
            map[stringKey] = jsValue;
        }
      }
      return map;
    }
    function stringifyKey(key2, jsKey, ctx) {
      if (jsKey === null)
        return "";
      if (typeof jsKey !== "object")
        return String(jsKey);
      if (identity.isNode(key2) && ctx?.doc) {
        const strCtx = stringify.createStringifyContext(ctx.doc, {});
        strCtx.anchors = /* @__PURE__ */ new Set();
        for (const node of ctx.anchors.keys())
          strCtx.anchors.add(node.anchor);
        strCtx.inFlow = true;
        strCtx.inStringifyKey = true;
        const strKey = key2.toString(strCtx);
        if (!ctx.mapKeyWarned) {
          let jsonStr = JSON.stringify(strKey);
          if (jsonStr.length > 40)
            jsonStr = jsonStr.substring(0, 36) + '..."';
          log.warn(ctx.doc.options.logLevel, `Keys with collection values will be stringified due to JS Object restrictions: ${jsonStr}. Set mapAsMap: true to use object keys.`);
          ctx.mapKeyWarned = true;
        }
        return strKey;
      }
      return JSON.stringify(jsKey);
    }
    exports.addPairToJSMap = addPairToJSMap;
  }
});

// node_modules/yaml/dist/nodes/Pair.js
var require_Pair = __commonJS({
  "node_modules/yaml/dist/nodes/Pair.js"(exports) {
    "use strict";
    var createNode = require_createNode();
    var stringifyPair = require_stringifyPair();
    var addPairToJSMap = require_addPairToJSMap();
    var identity = require_identity();
    function createPair(key2, value, ctx) {
      const k = createNode.createNode(key2, void 0, ctx);
      const v = createNode.createNode(value, void 0, ctx);
      return new Pair(k, v);
    }
    var Pair = class _Pair {
      constructor(key2, value = null) {
        Object.defineProperty(this, identity.NODE_TYPE, { value: identity.PAIR });
        this.key = key2;
        this.value = value;
      }
      clone(schema) {
        let { key: key2, value } = this;
        if (identity.isNode(key2))
          key2 = key2.clone(schema);
        if (identity.isNode(value))
          value = value.clone(schema);
        return new _Pair(key2, value);
      }
      toJSON(_, ctx) {
        const pair = ctx?.mapAsMap ? /* @__PURE__ */ new Map() : {};
        return addPairToJSMap.addPairToJSMap(ctx, pair, this);
      }
      toString(ctx, onComment, onChompKeep) {
        return ctx?.doc ? stringifyPair.stringifyPair(this, ctx, onComment, onChompKeep) : JSON.stringify(this);
      }
    };
    exports.Pair = Pair;
    exports.createPair = createPair;
  }
});

// node_modules/yaml/dist/stringify/stringifyCollection.js
var require_stringifyCollection = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyCollection.js"(exports) {
    "use strict";
    var identity = require_identity();
    var stringify = require_stringify();
    var stringifyComment = require_stringifyComment();
    function stringifyCollection(collection, ctx, options) {
      const flow = ctx.inFlow ?? collection.flow;
      const stringify2 = flow ? stringifyFlowCollection : stringifyBlockCollection;
      return stringify2(collection, ctx, options);
    }
    function stringifyBlockCollection({ comment, items }, ctx, { blockItemPrefix, flowChars, itemIndent, onChompKeep, onComment }) {
      const { indent, options: { commentString } } = ctx;
      const itemCtx = Object.assign({}, ctx, { indent: itemIndent, type: null });
      let chompKeep = false;
      const lines = [];
      for (let i = 0; i < items.length; ++i) {
        const item = items[i];
        let comment2 = null;
        if (identity.isNode(item)) {
          if (!chompKeep && item.spaceBefore)
            lines.push("");
          addCommentBefore(ctx, lines, item.commentBefore, chompKeep);
          if (item.comment)
            comment2 = item.comment;
        } else if (identity.isPair(item)) {
          const ik = identity.isNode(item.key) ? item.key : null;
          if (ik) {
            if (!chompKeep && ik.spaceBefore)
              lines.push("");
            addCommentBefore(ctx, lines, ik.commentBefore, chompKeep);
          }
        }
        chompKeep = false;
        let str2 = stringify.stringify(item, itemCtx, () => comment2 = null, () => chompKeep = true);
        if (comment2)
          str2 += stringifyComment.lineComment(str2, itemIndent, commentString(comment2));
        if (chompKeep && comment2)
          chompKeep = false;
        lines.push(blockItemPrefix + str2);
      }
      let str;
      if (lines.length === 0) {
        str = flowChars.start + flowChars.end;
      } else {
        str = lines[0];
        for (let i = 1; i < lines.length; ++i) {
          const line = lines[i];
          str += line ? `
${indent}${line}` : "\n";
        }
      }
      if (comment) {
        str += "\n" + stringifyComment.indentComment(commentString(comment), indent);
        if (onComment)
          onComment();
      } else if (chompKeep && onChompKeep)
        onChompKeep();
      return str;
    }
    function stringifyFlowCollection({ items }, ctx, { flowChars, itemIndent }) {
      const { indent, indentStep, flowCollectionPadding: fcPadding, options: { commentString } } = ctx;
      itemIndent += indentStep;
      const itemCtx = Object.assign({}, ctx, {
        indent: itemIndent,
        inFlow: true,
        type: null
      });
      let reqNewline = false;
      let linesAtValue = 0;
      const lines = [];
      for (let i = 0; i < items.length; ++i) {
        const item = items[i];
        let comment = null;
        if (identity.isNode(item)) {
          if (item.spaceBefore)
            lines.push("");
          addCommentBefore(ctx, lines, item.commentBefore, false);
          if (item.comment)
            comment = item.comment;
        } else if (identity.isPair(item)) {
          const ik = identity.isNode(item.key) ? item.key : null;
          if (ik) {
            if (ik.spaceBefore)
              lines.push("");
            addCommentBefore(ctx, lines, ik.commentBefore, false);
            if (ik.comment)
              reqNewline = true;
          }
          const iv = identity.isNode(item.value) ? item.value : null;
          if (iv) {
            if (iv.comment)
              comment = iv.comment;
            if (iv.commentBefore)
              reqNewline = true;
          } else if (item.value == null && ik?.comment) {
            comment = ik.comment;
          }
        }
        if (comment)
          reqNewline = true;
        let str = stringify.stringify(item, itemCtx, () => comment = null);
        reqNewline || (reqNewline = lines.length > linesAtValue || str.includes("\n"));
        if (i < items.length - 1) {
          str += ",";
        } else if (ctx.options.trailingComma) {
          if (ctx.options.lineWidth > 0) {
            reqNewline || (reqNewline = lines.reduce((sum, line) => sum + line.length + 2, 2) + (str.length + 2) > ctx.options.lineWidth);
          }
          if (reqNewline) {
            str += ",";
          }
        }
        if (comment)
          str += stringifyComment.lineComment(str, itemIndent, commentString(comment));
        lines.push(str);
        linesAtValue = lines.length;
      }
      const { start, end } = flowChars;
      if (lines.length === 0) {
        return start + end;
      } else {
        if (!reqNewline) {
          const len = lines.reduce((sum, line) => sum + line.length + 2, 2);
          reqNewline = ctx.options.lineWidth > 0 && len > ctx.options.lineWidth;
        }
        if (reqNewline) {
          let str = start;
          for (const line of lines)
            str += line ? `
${indentStep}${indent}${line}` : "\n";
          return `${str}
${indent}${end}`;
        } else {
          return `${start}${fcPadding}${lines.join(" ")}${fcPadding}${end}`;
        }
      }
    }
    function addCommentBefore({ indent, options: { commentString } }, lines, comment, chompKeep) {
      if (comment && chompKeep)
        comment = comment.replace(/^\n+/, "");
      if (comment) {
        const ic = stringifyComment.indentComment(commentString(comment), indent);
        lines.push(ic.trimStart());
      }
    }
    exports.stringifyCollection = stringifyCollection;
  }
});

// node_modules/yaml/dist/nodes/YAMLMap.js
var require_YAMLMap = __commonJS({
  "node_modules/yaml/dist/nodes/YAMLMap.js"(exports) {
    "use strict";
    var stringifyCollection = require_stringifyCollection();
    var addPairToJSMap = require_addPairToJSMap();
    var Collection = require_Collection();
    var identity = require_identity();
    var Pair = require_Pair();
    var Scalar = require_Scalar();
    function findPair(items, key2) {
      const k = identity.isScalar(key2) ? key2.value : key2;
      for (const it of items) {
        if (identity.isPair(it)) {
          if (it.key === key2 || it.key === k)
            return it;
          if (identity.isScalar(it.key) && it.key.value === k)
            return it;
        }
      }
      return void 0;
    }
    var YAMLMap = class extends Collection.Collection {
      static get tagName() {
        return "tag:yaml.org,2002:map";
      }
      constructor(schema) {
        super(identity.MAP, schema);
        this.items = [];
      }
      /**
       * A generic collection parsing method that can be extended
       * to other node classes that inherit from YAMLMap
       */
      static from(schema, obj, ctx) {
        const { keepUndefined, replacer } = ctx;
        const map = new this(schema);
        const add = (key2, value) => {
          if (typeof replacer === "function")
            value = replacer.call(obj, key2, value);
          else if (Array.isArray(replacer) && !replacer.includes(key2))
            return;
          if (value !== void 0 || keepUndefined)
            map.items.push(Pair.createPair(key2, value, ctx));
        };
        if (obj instanceof Map) {
          for (const [key2, value] of obj)
            add(key2, value);
        } else if (obj && typeof obj === "object") {
          for (const key2 of Object.keys(obj))
            add(key2, obj[key2]);
        }
        if (typeof schema.sortMapEntries === "function") {
          map.items.sort(schema.sortMapEntries);
        }
        return map;
      }
      /**
       * Adds a value to the collection.
       *
       * @param overwrite - If not set `true`, using a key that is already in the
       *   collection will throw. Otherwise, overwrites the previous value.
       */
      add(pair, overwrite) {
        let _pair;
        if (identity.isPair(pair))
          _pair = pair;
        else if (!pair || typeof pair !== "object" || !("key" in pair)) {
          _pair = new Pair.Pair(pair, pair?.value);
        } else
          _pair = new Pair.Pair(pair.key, pair.value);
        const prev = findPair(this.items, _pair.key);
        const sortEntries = this.schema?.sortMapEntries;
        if (prev) {
          if (!overwrite)
            throw new Error(`Key ${_pair.key} already set`);
          if (identity.isScalar(prev.value) && Scalar.isScalarValue(_pair.value))
            prev.value.value = _pair.value;
          else
            prev.value = _pair.value;
        } else if (sortEntries) {
          const i = this.items.findIndex((item) => sortEntries(_pair, item) < 0);
          if (i === -1)
            this.items.push(_pair);
          else
            this.items.splice(i, 0, _pair);
        } else {
          this.items.push(_pair);
        }
      }
      delete(key2) {
        const it = findPair(this.items, key2);
        if (!it)
          return false;
        const del = this.items.splice(this.items.indexOf(it), 1);
        return del.length > 0;
      }
      get(key2, keepScalar) {
        const it = findPair(this.items, key2);
        const node = it?.value;
        return (!keepScalar && identity.isScalar(node) ? node.value : node) ?? void 0;
      }
      has(key2) {
        return !!findPair(this.items, key2);
      }
      set(key2, value) {
        this.add(new Pair.Pair(key2, value), true);
      }
      /**
       * @param ctx - Conversion context, originally set in Document#toJS()
       * @param {Class} Type - If set, forces the returned collection type
       * @returns Instance of Type, Map, or Object
       */
      toJSON(_, ctx, Type) {
        const map = Type ? new Type() : ctx?.mapAsMap ? /* @__PURE__ */ new Map() : {};
        if (ctx?.onCreate)
          ctx.onCreate(map);
        for (const item of this.items)
          addPairToJSMap.addPairToJSMap(ctx, map, item);
        return map;
      }
      toString(ctx, onComment, onChompKeep) {
        if (!ctx)
          return JSON.stringify(this);
        for (const item of this.items) {
          if (!identity.isPair(item))
            throw new Error(`Map items must all be pairs; found ${JSON.stringify(item)} instead`);
        }
        if (!ctx.allNullValues && this.hasAllNullValues(false))
          ctx = Object.assign({}, ctx, { allNullValues: true });
        return stringifyCollection.stringifyCollection(this, ctx, {
          blockItemPrefix: "",
          flowChars: { start: "{", end: "}" },
          itemIndent: ctx.indent || "",
          onChompKeep,
          onComment
        });
      }
    };
    exports.YAMLMap = YAMLMap;
    exports.findPair = findPair;
  }
});

// node_modules/yaml/dist/schema/common/map.js
var require_map = __commonJS({
  "node_modules/yaml/dist/schema/common/map.js"(exports) {
    "use strict";
    var identity = require_identity();
    var YAMLMap = require_YAMLMap();
    var map = {
      collection: "map",
      default: true,
      nodeClass: YAMLMap.YAMLMap,
      tag: "tag:yaml.org,2002:map",
      resolve(map2, onError) {
        if (!identity.isMap(map2))
          onError("Expected a mapping for this tag");
        return map2;
      },
      createNode: (schema, obj, ctx) => YAMLMap.YAMLMap.from(schema, obj, ctx)
    };
    exports.map = map;
  }
});

// node_modules/yaml/dist/nodes/YAMLSeq.js
var require_YAMLSeq = __commonJS({
  "node_modules/yaml/dist/nodes/YAMLSeq.js"(exports) {
    "use strict";
    var createNode = require_createNode();
    var stringifyCollection = require_stringifyCollection();
    var Collection = require_Collection();
    var identity = require_identity();
    var Scalar = require_Scalar();
    var toJS = require_toJS();
    var YAMLSeq = class extends Collection.Collection {
      static get tagName() {
        return "tag:yaml.org,2002:seq";
      }
      constructor(schema) {
        super(identity.SEQ, schema);
        this.items = [];
      }
      add(value) {
        this.items.push(value);
      }
      /**
       * Removes a value from the collection.
       *
       * `key` must contain a representation of an integer for this to succeed.
       * It may be wrapped in a `Scalar`.
       *
       * @returns `true` if the item was found and removed.
       */
      delete(key2) {
        const idx = asItemIndex(key2);
        if (typeof idx !== "number")
          return false;
        const del = this.items.splice(idx, 1);
        return del.length > 0;
      }
      get(key2, keepScalar) {
        const idx = asItemIndex(key2);
        if (typeof idx !== "number")
          return void 0;
        const it = this.items[idx];
        return !keepScalar && identity.isScalar(it) ? it.value : it;
      }
      /**
       * Checks if the collection includes a value with the key `key`.
       *
       * `key` must contain a representation of an integer for this to succeed.
       * It may be wrapped in a `Scalar`.
       */
      has(key2) {
        const idx = asItemIndex(key2);
        return typeof idx === "number" && idx < this.items.length;
      }
      /**
       * Sets a value in this collection. For `!!set`, `value` needs to be a
       * boolean to add/remove the item from the set.
       *
       * If `key` does not contain a representation of an integer, this will throw.
       * It may be wrapped in a `Scalar`.
       */
      set(key2, value) {
        const idx = asItemIndex(key2);
        if (typeof idx !== "number")
          throw new Error(`Expected a valid index, not ${key2}.`);
        const prev = this.items[idx];
        if (identity.isScalar(prev) && Scalar.isScalarValue(value))
          prev.value = value;
        else
          this.items[idx] = value;
      }
      toJSON(_, ctx) {
        const seq = [];
        if (ctx?.onCreate)
          ctx.onCreate(seq);
        let i = 0;
        for (const item of this.items)
          seq.push(toJS.toJS(item, String(i++), ctx));
        return seq;
      }
      toString(ctx, onComment, onChompKeep) {
        if (!ctx)
          return JSON.stringify(this);
        return stringifyCollection.stringifyCollection(this, ctx, {
          blockItemPrefix: "- ",
          flowChars: { start: "[", end: "]" },
          itemIndent: (ctx.indent || "") + "  ",
          onChompKeep,
          onComment
        });
      }
      static from(schema, obj, ctx) {
        const { replacer } = ctx;
        const seq = new this(schema);
        if (obj && Symbol.iterator in Object(obj)) {
          let i = 0;
          for (let it of obj) {
            if (typeof replacer === "function") {
              const key2 = obj instanceof Set ? it : String(i++);
              it = replacer.call(obj, key2, it);
            }
            seq.items.push(createNode.createNode(it, void 0, ctx));
          }
        }
        return seq;
      }
    };
    function asItemIndex(key2) {
      let idx = identity.isScalar(key2) ? key2.value : key2;
      if (idx && typeof idx === "string")
        idx = Number(idx);
      return typeof idx === "number" && Number.isInteger(idx) && idx >= 0 ? idx : null;
    }
    exports.YAMLSeq = YAMLSeq;
  }
});

// node_modules/yaml/dist/schema/common/seq.js
var require_seq = __commonJS({
  "node_modules/yaml/dist/schema/common/seq.js"(exports) {
    "use strict";
    var identity = require_identity();
    var YAMLSeq = require_YAMLSeq();
    var seq = {
      collection: "seq",
      default: true,
      nodeClass: YAMLSeq.YAMLSeq,
      tag: "tag:yaml.org,2002:seq",
      resolve(seq2, onError) {
        if (!identity.isSeq(seq2))
          onError("Expected a sequence for this tag");
        return seq2;
      },
      createNode: (schema, obj, ctx) => YAMLSeq.YAMLSeq.from(schema, obj, ctx)
    };
    exports.seq = seq;
  }
});

// node_modules/yaml/dist/schema/common/string.js
var require_string = __commonJS({
  "node_modules/yaml/dist/schema/common/string.js"(exports) {
    "use strict";
    var stringifyString = require_stringifyString();
    var string = {
      identify: (value) => typeof value === "string",
      default: true,
      tag: "tag:yaml.org,2002:str",
      resolve: (str) => str,
      stringify(item, ctx, onComment, onChompKeep) {
        ctx = Object.assign({ actualString: true }, ctx);
        return stringifyString.stringifyString(item, ctx, onComment, onChompKeep);
      }
    };
    exports.string = string;
  }
});

// node_modules/yaml/dist/schema/common/null.js
var require_null = __commonJS({
  "node_modules/yaml/dist/schema/common/null.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var nullTag = {
      identify: (value) => value == null,
      createNode: () => new Scalar.Scalar(null),
      default: true,
      tag: "tag:yaml.org,2002:null",
      test: /^(?:~|[Nn]ull|NULL)?$/,
      resolve: () => new Scalar.Scalar(null),
      stringify: ({ source }, ctx) => typeof source === "string" && nullTag.test.test(source) ? source : ctx.options.nullStr
    };
    exports.nullTag = nullTag;
  }
});

// node_modules/yaml/dist/schema/core/bool.js
var require_bool = __commonJS({
  "node_modules/yaml/dist/schema/core/bool.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var boolTag = {
      identify: (value) => typeof value === "boolean",
      default: true,
      tag: "tag:yaml.org,2002:bool",
      test: /^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$/,
      resolve: (str) => new Scalar.Scalar(str[0] === "t" || str[0] === "T"),
      stringify({ source, value }, ctx) {
        if (source && boolTag.test.test(source)) {
          const sv = source[0] === "t" || source[0] === "T";
          if (value === sv)
            return source;
        }
        return value ? ctx.options.trueStr : ctx.options.falseStr;
      }
    };
    exports.boolTag = boolTag;
  }
});

// node_modules/yaml/dist/stringify/stringifyNumber.js
var require_stringifyNumber = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyNumber.js"(exports) {
    "use strict";
    function stringifyNumber({ format, minFractionDigits, tag, value }) {
      if (typeof value === "bigint")
        return String(value);
      const num = typeof value === "number" ? value : Number(value);
      if (!isFinite(num))
        return isNaN(num) ? ".nan" : num < 0 ? "-.inf" : ".inf";
      let n = Object.is(value, -0) ? "-0" : JSON.stringify(value);
      if (!format && minFractionDigits && (!tag || tag === "tag:yaml.org,2002:float") && /^-?\d/.test(n) && !n.includes("e")) {
        let i = n.indexOf(".");
        if (i < 0) {
          i = n.length;
          n += ".";
        }
        let d = minFractionDigits - (n.length - i - 1);
        while (d-- > 0)
          n += "0";
      }
      return n;
    }
    exports.stringifyNumber = stringifyNumber;
  }
});

// node_modules/yaml/dist/schema/core/float.js
var require_float = __commonJS({
  "node_modules/yaml/dist/schema/core/float.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var stringifyNumber = require_stringifyNumber();
    var floatNaN = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      test: /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/,
      resolve: (str) => str.slice(-3).toLowerCase() === "nan" ? NaN : str[0] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY,
      stringify: stringifyNumber.stringifyNumber
    };
    var floatExp = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      format: "EXP",
      test: /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$/,
      resolve: (str) => parseFloat(str),
      stringify(node) {
        const num = Number(node.value);
        return isFinite(num) ? num.toExponential() : stringifyNumber.stringifyNumber(node);
      }
    };
    var float2 = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      test: /^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)$/,
      resolve(str) {
        const node = new Scalar.Scalar(parseFloat(str));
        const dot = str.indexOf(".");
        if (dot !== -1 && str[str.length - 1] === "0")
          node.minFractionDigits = str.length - dot - 1;
        return node;
      },
      stringify: stringifyNumber.stringifyNumber
    };
    exports.float = float2;
    exports.floatExp = floatExp;
    exports.floatNaN = floatNaN;
  }
});

// node_modules/yaml/dist/schema/core/int.js
var require_int = __commonJS({
  "node_modules/yaml/dist/schema/core/int.js"(exports) {
    "use strict";
    var stringifyNumber = require_stringifyNumber();
    var intIdentify = (value) => typeof value === "bigint" || Number.isInteger(value);
    var intResolve = (str, offset, radix, { intAsBigInt }) => intAsBigInt ? BigInt(str) : parseInt(str.substring(offset), radix);
    function intStringify(node, radix, prefix) {
      const { value } = node;
      if (intIdentify(value) && value >= 0)
        return prefix + value.toString(radix);
      return stringifyNumber.stringifyNumber(node);
    }
    var intOct = {
      identify: (value) => intIdentify(value) && value >= 0,
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "OCT",
      test: /^0o[0-7]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 2, 8, opt),
      stringify: (node) => intStringify(node, 8, "0o")
    };
    var int = {
      identify: intIdentify,
      default: true,
      tag: "tag:yaml.org,2002:int",
      test: /^[-+]?[0-9]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 0, 10, opt),
      stringify: stringifyNumber.stringifyNumber
    };
    var intHex = {
      identify: (value) => intIdentify(value) && value >= 0,
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "HEX",
      test: /^0x[0-9a-fA-F]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 2, 16, opt),
      stringify: (node) => intStringify(node, 16, "0x")
    };
    exports.int = int;
    exports.intHex = intHex;
    exports.intOct = intOct;
  }
});

// node_modules/yaml/dist/schema/core/schema.js
var require_schema = __commonJS({
  "node_modules/yaml/dist/schema/core/schema.js"(exports) {
    "use strict";
    var map = require_map();
    var _null = require_null();
    var seq = require_seq();
    var string = require_string();
    var bool = require_bool();
    var float2 = require_float();
    var int = require_int();
    var schema = [
      map.map,
      seq.seq,
      string.string,
      _null.nullTag,
      bool.boolTag,
      int.intOct,
      int.int,
      int.intHex,
      float2.floatNaN,
      float2.floatExp,
      float2.float
    ];
    exports.schema = schema;
  }
});

// node_modules/yaml/dist/schema/json/schema.js
var require_schema2 = __commonJS({
  "node_modules/yaml/dist/schema/json/schema.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var map = require_map();
    var seq = require_seq();
    function intIdentify(value) {
      return typeof value === "bigint" || Number.isInteger(value);
    }
    var stringifyJSON = ({ value }) => JSON.stringify(value);
    var jsonScalars = [
      {
        identify: (value) => typeof value === "string",
        default: true,
        tag: "tag:yaml.org,2002:str",
        resolve: (str) => str,
        stringify: stringifyJSON
      },
      {
        identify: (value) => value == null,
        createNode: () => new Scalar.Scalar(null),
        default: true,
        tag: "tag:yaml.org,2002:null",
        test: /^null$/,
        resolve: () => null,
        stringify: stringifyJSON
      },
      {
        identify: (value) => typeof value === "boolean",
        default: true,
        tag: "tag:yaml.org,2002:bool",
        test: /^true$|^false$/,
        resolve: (str) => str === "true",
        stringify: stringifyJSON
      },
      {
        identify: intIdentify,
        default: true,
        tag: "tag:yaml.org,2002:int",
        test: /^-?(?:0|[1-9][0-9]*)$/,
        resolve: (str, _onError, { intAsBigInt }) => intAsBigInt ? BigInt(str) : parseInt(str, 10),
        stringify: ({ value }) => intIdentify(value) ? value.toString() : JSON.stringify(value)
      },
      {
        identify: (value) => typeof value === "number",
        default: true,
        tag: "tag:yaml.org,2002:float",
        test: /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$/,
        resolve: (str) => parseFloat(str),
        stringify: stringifyJSON
      }
    ];
    var jsonError = {
      default: true,
      tag: "",
      test: /^/,
      resolve(str, onError) {
        onError(`Unresolved plain scalar ${JSON.stringify(str)}`);
        return str;
      }
    };
    var schema = [map.map, seq.seq].concat(jsonScalars, jsonError);
    exports.schema = schema;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/binary.js
var require_binary = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/binary.js"(exports) {
    "use strict";
    var node_buffer = __require("buffer");
    var Scalar = require_Scalar();
    var stringifyString = require_stringifyString();
    var binary = {
      identify: (value) => value instanceof Uint8Array,
      // Buffer inherits from Uint8Array
      default: false,
      tag: "tag:yaml.org,2002:binary",
      /**
       * Returns a Buffer in node and an Uint8Array in browsers
       *
       * To use the resulting buffer as an image, you'll want to do something like:
       *
       *   const blob = new Blob([buffer], { type: 'image/jpeg' })
       *   document.querySelector('#photo').src = URL.createObjectURL(blob)
       */
      resolve(src, onError) {
        if (typeof node_buffer.Buffer === "function") {
          return node_buffer.Buffer.from(src, "base64");
        } else if (typeof atob === "function") {
          const str = atob(src.replace(/[\n\r]/g, ""));
          const buffer = new Uint8Array(str.length);
          for (let i = 0; i < str.length; ++i)
            buffer[i] = str.charCodeAt(i);
          return buffer;
        } else {
          onError("This environment does not support reading binary tags; either Buffer or atob is required");
          return src;
        }
      },
      stringify({ comment, type, value }, ctx, onComment, onChompKeep) {
        if (!value)
          return "";
        const buf = value;
        let str;
        if (typeof node_buffer.Buffer === "function") {
          str = buf instanceof node_buffer.Buffer ? buf.toString("base64") : node_buffer.Buffer.from(buf.buffer).toString("base64");
        } else if (typeof btoa === "function") {
          let s = "";
          for (let i = 0; i < buf.length; ++i)
            s += String.fromCharCode(buf[i]);
          str = btoa(s);
        } else {
          throw new Error("This environment does not support writing binary tags; either Buffer or btoa is required");
        }
        type ?? (type = Scalar.Scalar.BLOCK_LITERAL);
        if (type !== Scalar.Scalar.QUOTE_DOUBLE) {
          const lineWidth = Math.max(ctx.options.lineWidth - ctx.indent.length, ctx.options.minContentWidth);
          const n = Math.ceil(str.length / lineWidth);
          const lines = new Array(n);
          for (let i = 0, o = 0; i < n; ++i, o += lineWidth) {
            lines[i] = str.substr(o, lineWidth);
          }
          str = lines.join(type === Scalar.Scalar.BLOCK_LITERAL ? "\n" : " ");
        }
        return stringifyString.stringifyString({ comment, type, value: str }, ctx, onComment, onChompKeep);
      }
    };
    exports.binary = binary;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/pairs.js
var require_pairs = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/pairs.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Pair = require_Pair();
    var Scalar = require_Scalar();
    var YAMLSeq = require_YAMLSeq();
    function resolvePairs(seq, onError) {
      if (identity.isSeq(seq)) {
        for (let i = 0; i < seq.items.length; ++i) {
          let item = seq.items[i];
          if (identity.isPair(item))
            continue;
          else if (identity.isMap(item)) {
            if (item.items.length > 1)
              onError("Each pair must have its own sequence indicator");
            const pair = item.items[0] || new Pair.Pair(new Scalar.Scalar(null));
            if (item.commentBefore)
              pair.key.commentBefore = pair.key.commentBefore ? `${item.commentBefore}
${pair.key.commentBefore}` : item.commentBefore;
            if (item.comment) {
              const cn = pair.value ?? pair.key;
              cn.comment = cn.comment ? `${item.comment}
${cn.comment}` : item.comment;
            }
            item = pair;
          }
          seq.items[i] = identity.isPair(item) ? item : new Pair.Pair(item);
        }
      } else
        onError("Expected a sequence for this tag");
      return seq;
    }
    function createPairs(schema, iterable, ctx) {
      const { replacer } = ctx;
      const pairs3 = new YAMLSeq.YAMLSeq(schema);
      pairs3.tag = "tag:yaml.org,2002:pairs";
      let i = 0;
      if (iterable && Symbol.iterator in Object(iterable))
        for (let it of iterable) {
          if (typeof replacer === "function")
            it = replacer.call(iterable, String(i++), it);
          let key2, value;
          if (Array.isArray(it)) {
            if (it.length === 2) {
              key2 = it[0];
              value = it[1];
            } else
              throw new TypeError(`Expected [key, value] tuple: ${it}`);
          } else if (it && it instanceof Object) {
            const keys = Object.keys(it);
            if (keys.length === 1) {
              key2 = keys[0];
              value = it[key2];
            } else {
              throw new TypeError(`Expected tuple with one key, not ${keys.length} keys`);
            }
          } else {
            key2 = it;
          }
          pairs3.items.push(Pair.createPair(key2, value, ctx));
        }
      return pairs3;
    }
    var pairs2 = {
      collection: "seq",
      default: false,
      tag: "tag:yaml.org,2002:pairs",
      resolve: resolvePairs,
      createNode: createPairs
    };
    exports.createPairs = createPairs;
    exports.pairs = pairs2;
    exports.resolvePairs = resolvePairs;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/omap.js
var require_omap = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/omap.js"(exports) {
    "use strict";
    var identity = require_identity();
    var toJS = require_toJS();
    var YAMLMap = require_YAMLMap();
    var YAMLSeq = require_YAMLSeq();
    var pairs2 = require_pairs();
    var YAMLOMap = class _YAMLOMap extends YAMLSeq.YAMLSeq {
      constructor() {
        super();
        this.add = YAMLMap.YAMLMap.prototype.add.bind(this);
        this.delete = YAMLMap.YAMLMap.prototype.delete.bind(this);
        this.get = YAMLMap.YAMLMap.prototype.get.bind(this);
        this.has = YAMLMap.YAMLMap.prototype.has.bind(this);
        this.set = YAMLMap.YAMLMap.prototype.set.bind(this);
        this.tag = _YAMLOMap.tag;
      }
      /**
       * If `ctx` is given, the return type is actually `Map<unknown, unknown>`,
       * but TypeScript won't allow widening the signature of a child method.
       */
      toJSON(_, ctx) {
        if (!ctx)
          return super.toJSON(_);
        const map = /* @__PURE__ */ new Map();
        if (ctx?.onCreate)
          ctx.onCreate(map);
        for (const pair of this.items) {
          let key2, value;
          if (identity.isPair(pair)) {
            key2 = toJS.toJS(pair.key, "", ctx);
            value = toJS.toJS(pair.value, key2, ctx);
          } else {
            key2 = toJS.toJS(pair, "", ctx);
          }
          if (map.has(key2))
            throw new Error("Ordered maps must not include duplicate keys");
          map.set(key2, value);
        }
        return map;
      }
      static from(schema, iterable, ctx) {
        const pairs$1 = pairs2.createPairs(schema, iterable, ctx);
        const omap2 = new this();
        omap2.items = pairs$1.items;
        return omap2;
      }
    };
    YAMLOMap.tag = "tag:yaml.org,2002:omap";
    var omap = {
      collection: "seq",
      identify: (value) => value instanceof Map,
      nodeClass: YAMLOMap,
      default: false,
      tag: "tag:yaml.org,2002:omap",
      resolve(seq, onError) {
        const pairs$1 = pairs2.resolvePairs(seq, onError);
        const seenKeys = [];
        for (const { key: key2 } of pairs$1.items) {
          if (identity.isScalar(key2)) {
            if (seenKeys.includes(key2.value)) {
              onError(`Ordered maps must not include duplicate keys: ${key2.value}`);
            } else {
              seenKeys.push(key2.value);
            }
          }
        }
        return Object.assign(new YAMLOMap(), pairs$1);
      },
      createNode: (schema, iterable, ctx) => YAMLOMap.from(schema, iterable, ctx)
    };
    exports.YAMLOMap = YAMLOMap;
    exports.omap = omap;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/bool.js
var require_bool2 = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/bool.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    function boolStringify({ value, source }, ctx) {
      const boolObj = value ? trueTag : falseTag;
      if (source && boolObj.test.test(source))
        return source;
      return value ? ctx.options.trueStr : ctx.options.falseStr;
    }
    var trueTag = {
      identify: (value) => value === true,
      default: true,
      tag: "tag:yaml.org,2002:bool",
      test: /^(?:Y|y|[Yy]es|YES|[Tt]rue|TRUE|[Oo]n|ON)$/,
      resolve: () => new Scalar.Scalar(true),
      stringify: boolStringify
    };
    var falseTag = {
      identify: (value) => value === false,
      default: true,
      tag: "tag:yaml.org,2002:bool",
      test: /^(?:N|n|[Nn]o|NO|[Ff]alse|FALSE|[Oo]ff|OFF)$/,
      resolve: () => new Scalar.Scalar(false),
      stringify: boolStringify
    };
    exports.falseTag = falseTag;
    exports.trueTag = trueTag;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/float.js
var require_float2 = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/float.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var stringifyNumber = require_stringifyNumber();
    var floatNaN = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      test: /^(?:[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN)$/,
      resolve: (str) => str.slice(-3).toLowerCase() === "nan" ? NaN : str[0] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY,
      stringify: stringifyNumber.stringifyNumber
    };
    var floatExp = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      format: "EXP",
      test: /^[-+]?(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?[eE][-+]?[0-9]+$/,
      resolve: (str) => parseFloat(str.replace(/_/g, "")),
      stringify(node) {
        const num = Number(node.value);
        return isFinite(num) ? num.toExponential() : stringifyNumber.stringifyNumber(node);
      }
    };
    var float2 = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      test: /^[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*$/,
      resolve(str) {
        const node = new Scalar.Scalar(parseFloat(str.replace(/_/g, "")));
        const dot = str.indexOf(".");
        if (dot !== -1) {
          const f = str.substring(dot + 1).replace(/_/g, "");
          if (f[f.length - 1] === "0")
            node.minFractionDigits = f.length;
        }
        return node;
      },
      stringify: stringifyNumber.stringifyNumber
    };
    exports.float = float2;
    exports.floatExp = floatExp;
    exports.floatNaN = floatNaN;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/int.js
var require_int2 = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/int.js"(exports) {
    "use strict";
    var stringifyNumber = require_stringifyNumber();
    var intIdentify = (value) => typeof value === "bigint" || Number.isInteger(value);
    function intResolve(str, offset, radix, { intAsBigInt }) {
      const sign = str[0];
      if (sign === "-" || sign === "+")
        offset += 1;
      str = str.substring(offset).replace(/_/g, "");
      if (intAsBigInt) {
        switch (radix) {
          case 2:
            str = `0b${str}`;
            break;
          case 8:
            str = `0o${str}`;
            break;
          case 16:
            str = `0x${str}`;
            break;
        }
        const n2 = BigInt(str);
        return sign === "-" ? BigInt(-1) * n2 : n2;
      }
      const n = parseInt(str, radix);
      return sign === "-" ? -1 * n : n;
    }
    function intStringify(node, radix, prefix) {
      const { value } = node;
      if (intIdentify(value)) {
        const str = value.toString(radix);
        return value < 0 ? "-" + prefix + str.substr(1) : prefix + str;
      }
      return stringifyNumber.stringifyNumber(node);
    }
    var intBin = {
      identify: intIdentify,
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "BIN",
      test: /^[-+]?0b[0-1_]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 2, 2, opt),
      stringify: (node) => intStringify(node, 2, "0b")
    };
    var intOct = {
      identify: intIdentify,
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "OCT",
      test: /^[-+]?0[0-7_]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 1, 8, opt),
      stringify: (node) => intStringify(node, 8, "0")
    };
    var int = {
      identify: intIdentify,
      default: true,
      tag: "tag:yaml.org,2002:int",
      test: /^[-+]?[0-9][0-9_]*$/,
      resolve: (str, _onError, opt) => intResolve(str, 0, 10, opt),
      stringify: stringifyNumber.stringifyNumber
    };
    var intHex = {
      identify: intIdentify,
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "HEX",
      test: /^[-+]?0x[0-9a-fA-F_]+$/,
      resolve: (str, _onError, opt) => intResolve(str, 2, 16, opt),
      stringify: (node) => intStringify(node, 16, "0x")
    };
    exports.int = int;
    exports.intBin = intBin;
    exports.intHex = intHex;
    exports.intOct = intOct;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/set.js
var require_set = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/set.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Pair = require_Pair();
    var YAMLMap = require_YAMLMap();
    var YAMLSet = class _YAMLSet extends YAMLMap.YAMLMap {
      constructor(schema) {
        super(schema);
        this.tag = _YAMLSet.tag;
      }
      add(key2) {
        let pair;
        if (identity.isPair(key2))
          pair = key2;
        else if (key2 && typeof key2 === "object" && "key" in key2 && "value" in key2 && key2.value === null)
          pair = new Pair.Pair(key2.key, null);
        else
          pair = new Pair.Pair(key2, null);
        const prev = YAMLMap.findPair(this.items, pair.key);
        if (!prev)
          this.items.push(pair);
      }
      /**
       * If `keepPair` is `true`, returns the Pair matching `key`.
       * Otherwise, returns the value of that Pair's key.
       */
      get(key2, keepPair) {
        const pair = YAMLMap.findPair(this.items, key2);
        return !keepPair && identity.isPair(pair) ? identity.isScalar(pair.key) ? pair.key.value : pair.key : pair;
      }
      set(key2, value) {
        if (typeof value !== "boolean")
          throw new Error(`Expected boolean value for set(key, value) in a YAML set, not ${typeof value}`);
        const prev = YAMLMap.findPair(this.items, key2);
        if (prev && !value) {
          this.items.splice(this.items.indexOf(prev), 1);
        } else if (!prev && value) {
          this.items.push(new Pair.Pair(key2));
        }
      }
      toJSON(_, ctx) {
        return super.toJSON(_, ctx, Set);
      }
      toString(ctx, onComment, onChompKeep) {
        if (!ctx)
          return JSON.stringify(this);
        if (this.hasAllNullValues(true))
          return super.toString(Object.assign({}, ctx, { allNullValues: true }), onComment, onChompKeep);
        else
          throw new Error("Set items must all have null values");
      }
      static from(schema, iterable, ctx) {
        const { replacer } = ctx;
        const set2 = new this(schema);
        if (iterable && Symbol.iterator in Object(iterable))
          for (let value of iterable) {
            if (typeof replacer === "function")
              value = replacer.call(iterable, value, value);
            set2.items.push(Pair.createPair(value, null, ctx));
          }
        return set2;
      }
    };
    YAMLSet.tag = "tag:yaml.org,2002:set";
    var set = {
      collection: "map",
      identify: (value) => value instanceof Set,
      nodeClass: YAMLSet,
      default: false,
      tag: "tag:yaml.org,2002:set",
      createNode: (schema, iterable, ctx) => YAMLSet.from(schema, iterable, ctx),
      resolve(map, onError) {
        if (identity.isMap(map)) {
          if (map.hasAllNullValues(true))
            return Object.assign(new YAMLSet(), map);
          else
            onError("Set items must all have null values");
        } else
          onError("Expected a mapping for this tag");
        return map;
      }
    };
    exports.YAMLSet = YAMLSet;
    exports.set = set;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/timestamp.js
var require_timestamp = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/timestamp.js"(exports) {
    "use strict";
    var stringifyNumber = require_stringifyNumber();
    function parseSexagesimal(str, asBigInt) {
      const sign = str[0];
      const parts = sign === "-" || sign === "+" ? str.substring(1) : str;
      const num = (n) => asBigInt ? BigInt(n) : Number(n);
      const res = parts.replace(/_/g, "").split(":").reduce((res2, p) => res2 * num(60) + num(p), num(0));
      return sign === "-" ? num(-1) * res : res;
    }
    function stringifySexagesimal(node) {
      let { value } = node;
      let num = (n) => n;
      if (typeof value === "bigint")
        num = (n) => BigInt(n);
      else if (isNaN(value) || !isFinite(value))
        return stringifyNumber.stringifyNumber(node);
      let sign = "";
      if (value < 0) {
        sign = "-";
        value *= num(-1);
      }
      const _60 = num(60);
      const parts = [value % _60];
      if (value < 60) {
        parts.unshift(0);
      } else {
        value = (value - parts[0]) / _60;
        parts.unshift(value % _60);
        if (value >= 60) {
          value = (value - parts[0]) / _60;
          parts.unshift(value);
        }
      }
      return sign + parts.map((n) => String(n).padStart(2, "0")).join(":").replace(/000000\d*$/, "");
    }
    var intTime = {
      identify: (value) => typeof value === "bigint" || Number.isInteger(value),
      default: true,
      tag: "tag:yaml.org,2002:int",
      format: "TIME",
      test: /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+$/,
      resolve: (str, _onError, { intAsBigInt }) => parseSexagesimal(str, intAsBigInt),
      stringify: stringifySexagesimal
    };
    var floatTime = {
      identify: (value) => typeof value === "number",
      default: true,
      tag: "tag:yaml.org,2002:float",
      format: "TIME",
      test: /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/,
      resolve: (str) => parseSexagesimal(str, false),
      stringify: stringifySexagesimal
    };
    var timestamp = {
      identify: (value) => value instanceof Date,
      default: true,
      tag: "tag:yaml.org,2002:timestamp",
      // If the time zone is omitted, the timestamp is assumed to be specified in UTC. The time part
      // may be omitted altogether, resulting in a date format. In such a case, the time part is
      // assumed to be 00:00:00Z (start of day, UTC).
      test: RegExp("^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:(?:t|T|[ \\t]+)([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2}(\\.[0-9]+)?)(?:[ \\t]*(Z|[-+][012]?[0-9](?::[0-9]{2})?))?)?$"),
      resolve(str) {
        const match = str.match(timestamp.test);
        if (!match)
          throw new Error("!!timestamp expects a date, starting with yyyy-mm-dd");
        const [, year, month, day, hour, minute, second] = match.map(Number);
        const millisec = match[7] ? Number((match[7] + "00").substr(1, 3)) : 0;
        let date = Date.UTC(year, month - 1, day, hour || 0, minute || 0, second || 0, millisec);
        const tz = match[8];
        if (tz && tz !== "Z") {
          let d = parseSexagesimal(tz, false);
          if (Math.abs(d) < 30)
            d *= 60;
          date -= 6e4 * d;
        }
        return new Date(date);
      },
      stringify: ({ value }) => value?.toISOString().replace(/(T00:00:00)?\.000Z$/, "") ?? ""
    };
    exports.floatTime = floatTime;
    exports.intTime = intTime;
    exports.timestamp = timestamp;
  }
});

// node_modules/yaml/dist/schema/yaml-1.1/schema.js
var require_schema3 = __commonJS({
  "node_modules/yaml/dist/schema/yaml-1.1/schema.js"(exports) {
    "use strict";
    var map = require_map();
    var _null = require_null();
    var seq = require_seq();
    var string = require_string();
    var binary = require_binary();
    var bool = require_bool2();
    var float2 = require_float2();
    var int = require_int2();
    var merge2 = require_merge();
    var omap = require_omap();
    var pairs2 = require_pairs();
    var set = require_set();
    var timestamp = require_timestamp();
    var schema = [
      map.map,
      seq.seq,
      string.string,
      _null.nullTag,
      bool.trueTag,
      bool.falseTag,
      int.intBin,
      int.intOct,
      int.int,
      int.intHex,
      float2.floatNaN,
      float2.floatExp,
      float2.float,
      binary.binary,
      merge2.merge,
      omap.omap,
      pairs2.pairs,
      set.set,
      timestamp.intTime,
      timestamp.floatTime,
      timestamp.timestamp
    ];
    exports.schema = schema;
  }
});

// node_modules/yaml/dist/schema/tags.js
var require_tags = __commonJS({
  "node_modules/yaml/dist/schema/tags.js"(exports) {
    "use strict";
    var map = require_map();
    var _null = require_null();
    var seq = require_seq();
    var string = require_string();
    var bool = require_bool();
    var float2 = require_float();
    var int = require_int();
    var schema = require_schema();
    var schema$1 = require_schema2();
    var binary = require_binary();
    var merge2 = require_merge();
    var omap = require_omap();
    var pairs2 = require_pairs();
    var schema$2 = require_schema3();
    var set = require_set();
    var timestamp = require_timestamp();
    var schemas = /* @__PURE__ */ new Map([
      ["core", schema.schema],
      ["failsafe", [map.map, seq.seq, string.string]],
      ["json", schema$1.schema],
      ["yaml11", schema$2.schema],
      ["yaml-1.1", schema$2.schema]
    ]);
    var tagsByName = {
      binary: binary.binary,
      bool: bool.boolTag,
      float: float2.float,
      floatExp: float2.floatExp,
      floatNaN: float2.floatNaN,
      floatTime: timestamp.floatTime,
      int: int.int,
      intHex: int.intHex,
      intOct: int.intOct,
      intTime: timestamp.intTime,
      map: map.map,
      merge: merge2.merge,
      null: _null.nullTag,
      omap: omap.omap,
      pairs: pairs2.pairs,
      seq: seq.seq,
      set: set.set,
      timestamp: timestamp.timestamp
    };
    var coreKnownTags = {
      "tag:yaml.org,2002:binary": binary.binary,
      "tag:yaml.org,2002:merge": merge2.merge,
      "tag:yaml.org,2002:omap": omap.omap,
      "tag:yaml.org,2002:pairs": pairs2.pairs,
      "tag:yaml.org,2002:set": set.set,
      "tag:yaml.org,2002:timestamp": timestamp.timestamp
    };
    function getTags(customTags, schemaName, addMergeTag) {
      const schemaTags = schemas.get(schemaName);
      if (schemaTags && !customTags) {
        return addMergeTag && !schemaTags.includes(merge2.merge) ? schemaTags.concat(merge2.merge) : schemaTags.slice();
      }
      let tags = schemaTags;
      if (!tags) {
        if (Array.isArray(customTags))
          tags = [];
        else {
          const keys = Array.from(schemas.keys()).filter((key2) => key2 !== "yaml11").map((key2) => JSON.stringify(key2)).join(", ");
          throw new Error(`Unknown schema "${schemaName}"; use one of ${keys} or define customTags array`);
        }
      }
      if (Array.isArray(customTags)) {
        for (const tag of customTags)
          tags = tags.concat(tag);
      } else if (typeof customTags === "function") {
        tags = customTags(tags.slice());
      }
      if (addMergeTag)
        tags = tags.concat(merge2.merge);
      return tags.reduce((tags2, tag) => {
        const tagObj = typeof tag === "string" ? tagsByName[tag] : tag;
        if (!tagObj) {
          const tagName = JSON.stringify(tag);
          const keys = Object.keys(tagsByName).map((key2) => JSON.stringify(key2)).join(", ");
          throw new Error(`Unknown custom tag ${tagName}; use one of ${keys}`);
        }
        if (!tags2.includes(tagObj))
          tags2.push(tagObj);
        return tags2;
      }, []);
    }
    exports.coreKnownTags = coreKnownTags;
    exports.getTags = getTags;
  }
});

// node_modules/yaml/dist/schema/Schema.js
var require_Schema = __commonJS({
  "node_modules/yaml/dist/schema/Schema.js"(exports) {
    "use strict";
    var identity = require_identity();
    var map = require_map();
    var seq = require_seq();
    var string = require_string();
    var tags = require_tags();
    var sortMapEntriesByKey = (a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    var Schema = class _Schema {
      constructor({ compat, customTags, merge: merge2, resolveKnownTags, schema, sortMapEntries, toStringDefaults }) {
        this.compat = Array.isArray(compat) ? tags.getTags(compat, "compat") : compat ? tags.getTags(null, compat) : null;
        this.name = typeof schema === "string" && schema || "core";
        this.knownTags = resolveKnownTags ? tags.coreKnownTags : {};
        this.tags = tags.getTags(customTags, this.name, merge2);
        this.toStringOptions = toStringDefaults ?? null;
        Object.defineProperty(this, identity.MAP, { value: map.map });
        Object.defineProperty(this, identity.SCALAR, { value: string.string });
        Object.defineProperty(this, identity.SEQ, { value: seq.seq });
        this.sortMapEntries = typeof sortMapEntries === "function" ? sortMapEntries : sortMapEntries === true ? sortMapEntriesByKey : null;
      }
      clone() {
        const copy = Object.create(_Schema.prototype, Object.getOwnPropertyDescriptors(this));
        copy.tags = this.tags.slice();
        return copy;
      }
    };
    exports.Schema = Schema;
  }
});

// node_modules/yaml/dist/stringify/stringifyDocument.js
var require_stringifyDocument = __commonJS({
  "node_modules/yaml/dist/stringify/stringifyDocument.js"(exports) {
    "use strict";
    var identity = require_identity();
    var stringify = require_stringify();
    var stringifyComment = require_stringifyComment();
    function stringifyDocument(doc, options) {
      const lines = [];
      let hasDirectives = options.directives === true;
      if (options.directives !== false && doc.directives) {
        const dir = doc.directives.toString(doc);
        if (dir) {
          lines.push(dir);
          hasDirectives = true;
        } else if (doc.directives.docStart)
          hasDirectives = true;
      }
      if (hasDirectives)
        lines.push("---");
      const ctx = stringify.createStringifyContext(doc, options);
      const { commentString } = ctx.options;
      if (doc.commentBefore) {
        if (lines.length !== 1)
          lines.unshift("");
        const cs = commentString(doc.commentBefore);
        lines.unshift(stringifyComment.indentComment(cs, ""));
      }
      let chompKeep = false;
      let contentComment = null;
      if (doc.contents) {
        if (identity.isNode(doc.contents)) {
          if (doc.contents.spaceBefore && hasDirectives)
            lines.push("");
          if (doc.contents.commentBefore) {
            const cs = commentString(doc.contents.commentBefore);
            lines.push(stringifyComment.indentComment(cs, ""));
          }
          ctx.forceBlockIndent = !!doc.comment;
          contentComment = doc.contents.comment;
        }
        const onChompKeep = contentComment ? void 0 : () => chompKeep = true;
        let body = stringify.stringify(doc.contents, ctx, () => contentComment = null, onChompKeep);
        if (contentComment)
          body += stringifyComment.lineComment(body, "", commentString(contentComment));
        if ((body[0] === "|" || body[0] === ">") && lines[lines.length - 1] === "---") {
          lines[lines.length - 1] = `--- ${body}`;
        } else
          lines.push(body);
      } else {
        lines.push(stringify.stringify(doc.contents, ctx));
      }
      if (doc.directives?.docEnd) {
        if (doc.comment) {
          const cs = commentString(doc.comment);
          if (cs.includes("\n")) {
            lines.push("...");
            lines.push(stringifyComment.indentComment(cs, ""));
          } else {
            lines.push(`... ${cs}`);
          }
        } else {
          lines.push("...");
        }
      } else {
        let dc = doc.comment;
        if (dc && chompKeep)
          dc = dc.replace(/^\n+/, "");
        if (dc) {
          if ((!chompKeep || contentComment) && lines[lines.length - 1] !== "")
            lines.push("");
          lines.push(stringifyComment.indentComment(commentString(dc), ""));
        }
      }
      return lines.join("\n") + "\n";
    }
    exports.stringifyDocument = stringifyDocument;
  }
});

// node_modules/yaml/dist/doc/Document.js
var require_Document = __commonJS({
  "node_modules/yaml/dist/doc/Document.js"(exports) {
    "use strict";
    var Alias = require_Alias();
    var Collection = require_Collection();
    var identity = require_identity();
    var Pair = require_Pair();
    var toJS = require_toJS();
    var Schema = require_Schema();
    var stringifyDocument = require_stringifyDocument();
    var anchors = require_anchors();
    var applyReviver = require_applyReviver();
    var createNode = require_createNode();
    var directives = require_directives();
    var Document = class _Document {
      constructor(value, replacer, options) {
        this.commentBefore = null;
        this.comment = null;
        this.errors = [];
        this.warnings = [];
        Object.defineProperty(this, identity.NODE_TYPE, { value: identity.DOC });
        let _replacer = null;
        if (typeof replacer === "function" || Array.isArray(replacer)) {
          _replacer = replacer;
        } else if (options === void 0 && replacer) {
          options = replacer;
          replacer = void 0;
        }
        const opt = Object.assign({
          intAsBigInt: false,
          keepSourceTokens: false,
          logLevel: "warn",
          prettyErrors: true,
          strict: true,
          stringKeys: false,
          uniqueKeys: true,
          version: "1.2"
        }, options);
        this.options = opt;
        let { version } = opt;
        if (options?._directives) {
          this.directives = options._directives.atDocument();
          if (this.directives.yaml.explicit)
            version = this.directives.yaml.version;
        } else
          this.directives = new directives.Directives({ version });
        this.setSchema(version, options);
        this.contents = value === void 0 ? null : this.createNode(value, _replacer, options);
      }
      /**
       * Create a deep copy of this Document and its contents.
       *
       * Custom Node values that inherit from `Object` still refer to their original instances.
       */
      clone() {
        const copy = Object.create(_Document.prototype, {
          [identity.NODE_TYPE]: { value: identity.DOC }
        });
        copy.commentBefore = this.commentBefore;
        copy.comment = this.comment;
        copy.errors = this.errors.slice();
        copy.warnings = this.warnings.slice();
        copy.options = Object.assign({}, this.options);
        if (this.directives)
          copy.directives = this.directives.clone();
        copy.schema = this.schema.clone();
        copy.contents = identity.isNode(this.contents) ? this.contents.clone(copy.schema) : this.contents;
        if (this.range)
          copy.range = this.range.slice();
        return copy;
      }
      /** Adds a value to the document. */
      add(value) {
        if (assertCollection(this.contents))
          this.contents.add(value);
      }
      /** Adds a value to the document. */
      addIn(path, value) {
        if (assertCollection(this.contents))
          this.contents.addIn(path, value);
      }
      /**
       * Create a new `Alias` node, ensuring that the target `node` has the required anchor.
       *
       * If `node` already has an anchor, `name` is ignored.
       * Otherwise, the `node.anchor` value will be set to `name`,
       * or if an anchor with that name is already present in the document,
       * `name` will be used as a prefix for a new unique anchor.
       * If `name` is undefined, the generated anchor will use 'a' as a prefix.
       */
      createAlias(node, name) {
        if (!node.anchor) {
          const prev = anchors.anchorNames(this);
          node.anchor = // eslint-disable-next-line @typescript-eslint/prefer-nullish-coalescing
          !name || prev.has(name) ? anchors.findNewAnchor(name || "a", prev) : name;
        }
        return new Alias.Alias(node.anchor);
      }
      createNode(value, replacer, options) {
        let _replacer = void 0;
        if (typeof replacer === "function") {
          value = replacer.call({ "": value }, "", value);
          _replacer = replacer;
        } else if (Array.isArray(replacer)) {
          const keyToStr = (v) => typeof v === "number" || v instanceof String || v instanceof Number;
          const asStr = replacer.filter(keyToStr).map(String);
          if (asStr.length > 0)
            replacer = replacer.concat(asStr);
          _replacer = replacer;
        } else if (options === void 0 && replacer) {
          options = replacer;
          replacer = void 0;
        }
        const { aliasDuplicateObjects, anchorPrefix, flow, keepUndefined, onTagObj, tag } = options ?? {};
        const { onAnchor, setAnchors, sourceObjects } = anchors.createNodeAnchors(
          this,
          // eslint-disable-next-line @typescript-eslint/prefer-nullish-coalescing
          anchorPrefix || "a"
        );
        const ctx = {
          aliasDuplicateObjects: aliasDuplicateObjects ?? true,
          keepUndefined: keepUndefined ?? false,
          onAnchor,
          onTagObj,
          replacer: _replacer,
          schema: this.schema,
          sourceObjects
        };
        const node = createNode.createNode(value, tag, ctx);
        if (flow && identity.isCollection(node))
          node.flow = true;
        setAnchors();
        return node;
      }
      /**
       * Convert a key and a value into a `Pair` using the current schema,
       * recursively wrapping all values as `Scalar` or `Collection` nodes.
       */
      createPair(key2, value, options = {}) {
        const k = this.createNode(key2, null, options);
        const v = this.createNode(value, null, options);
        return new Pair.Pair(k, v);
      }
      /**
       * Removes a value from the document.
       * @returns `true` if the item was found and removed.
       */
      delete(key2) {
        return assertCollection(this.contents) ? this.contents.delete(key2) : false;
      }
      /**
       * Removes a value from the document.
       * @returns `true` if the item was found and removed.
       */
      deleteIn(path) {
        if (Collection.isEmptyPath(path)) {
          if (this.contents == null)
            return false;
          this.contents = null;
          return true;
        }
        return assertCollection(this.contents) ? this.contents.deleteIn(path) : false;
      }
      /**
       * Returns item at `key`, or `undefined` if not found. By default unwraps
       * scalar values from their surrounding node; to disable set `keepScalar` to
       * `true` (collections are always returned intact).
       */
      get(key2, keepScalar) {
        return identity.isCollection(this.contents) ? this.contents.get(key2, keepScalar) : void 0;
      }
      /**
       * Returns item at `path`, or `undefined` if not found. By default unwraps
       * scalar values from their surrounding node; to disable set `keepScalar` to
       * `true` (collections are always returned intact).
       */
      getIn(path, keepScalar) {
        if (Collection.isEmptyPath(path))
          return !keepScalar && identity.isScalar(this.contents) ? this.contents.value : this.contents;
        return identity.isCollection(this.contents) ? this.contents.getIn(path, keepScalar) : void 0;
      }
      /**
       * Checks if the document includes a value with the key `key`.
       */
      has(key2) {
        return identity.isCollection(this.contents) ? this.contents.has(key2) : false;
      }
      /**
       * Checks if the document includes a value at `path`.
       */
      hasIn(path) {
        if (Collection.isEmptyPath(path))
          return this.contents !== void 0;
        return identity.isCollection(this.contents) ? this.contents.hasIn(path) : false;
      }
      /**
       * Sets a value in this document. For `!!set`, `value` needs to be a
       * boolean to add/remove the item from the set.
       */
      set(key2, value) {
        if (this.contents == null) {
          this.contents = Collection.collectionFromPath(this.schema, [key2], value);
        } else if (assertCollection(this.contents)) {
          this.contents.set(key2, value);
        }
      }
      /**
       * Sets a value in this document. For `!!set`, `value` needs to be a
       * boolean to add/remove the item from the set.
       */
      setIn(path, value) {
        if (Collection.isEmptyPath(path)) {
          this.contents = value;
        } else if (this.contents == null) {
          this.contents = Collection.collectionFromPath(this.schema, Array.from(path), value);
        } else if (assertCollection(this.contents)) {
          this.contents.setIn(path, value);
        }
      }
      /**
       * Change the YAML version and schema used by the document.
       * A `null` version disables support for directives, explicit tags, anchors, and aliases.
       * It also requires the `schema` option to be given as a `Schema` instance value.
       *
       * Overrides all previously set schema options.
       */
      setSchema(version, options = {}) {
        if (typeof version === "number")
          version = String(version);
        let opt;
        switch (version) {
          case "1.1":
            if (this.directives)
              this.directives.yaml.version = "1.1";
            else
              this.directives = new directives.Directives({ version: "1.1" });
            opt = { resolveKnownTags: false, schema: "yaml-1.1" };
            break;
          case "1.2":
          case "next":
            if (this.directives)
              this.directives.yaml.version = version;
            else
              this.directives = new directives.Directives({ version });
            opt = { resolveKnownTags: true, schema: "core" };
            break;
          case null:
            if (this.directives)
              delete this.directives;
            opt = null;
            break;
          default: {
            const sv = JSON.stringify(version);
            throw new Error(`Expected '1.1', '1.2' or null as first argument, but found: ${sv}`);
          }
        }
        if (options.schema instanceof Object)
          this.schema = options.schema;
        else if (opt)
          this.schema = new Schema.Schema(Object.assign(opt, options));
        else
          throw new Error(`With a null YAML version, the { schema: Schema } option is required`);
      }
      // json & jsonArg are only used from toJSON()
      toJS({ json, jsonArg, mapAsMap, maxAliasCount, onAnchor, reviver } = {}) {
        const ctx = {
          anchors: /* @__PURE__ */ new Map(),
          doc: this,
          keep: !json,
          mapAsMap: mapAsMap === true,
          mapKeyWarned: false,
          maxAliasCount: typeof maxAliasCount === "number" ? maxAliasCount : 100
        };
        const res = toJS.toJS(this.contents, jsonArg ?? "", ctx);
        if (typeof onAnchor === "function")
          for (const { count, res: res2 } of ctx.anchors.values())
            onAnchor(res2, count);
        return typeof reviver === "function" ? applyReviver.applyReviver(reviver, { "": res }, "", res) : res;
      }
      /**
       * A JSON representation of the document `contents`.
       *
       * @param jsonArg Used by `JSON.stringify` to indicate the array index or
       *   property name.
       */
      toJSON(jsonArg, onAnchor) {
        return this.toJS({ json: true, jsonArg, mapAsMap: false, onAnchor });
      }
      /** A YAML representation of the document. */
      toString(options = {}) {
        if (this.errors.length > 0)
          throw new Error("Document with errors cannot be stringified");
        if ("indent" in options && (!Number.isInteger(options.indent) || Number(options.indent) <= 0)) {
          const s = JSON.stringify(options.indent);
          throw new Error(`"indent" option must be a positive integer, not ${s}`);
        }
        return stringifyDocument.stringifyDocument(this, options);
      }
    };
    function assertCollection(contents) {
      if (identity.isCollection(contents))
        return true;
      throw new Error("Expected a YAML collection as document contents");
    }
    exports.Document = Document;
  }
});

// node_modules/yaml/dist/errors.js
var require_errors = __commonJS({
  "node_modules/yaml/dist/errors.js"(exports) {
    "use strict";
    var YAMLError = class extends Error {
      constructor(name, pos, code, message) {
        super();
        this.name = name;
        this.code = code;
        this.message = message;
        this.pos = pos;
      }
    };
    var YAMLParseError = class extends YAMLError {
      constructor(pos, code, message) {
        super("YAMLParseError", pos, code, message);
      }
    };
    var YAMLWarning = class extends YAMLError {
      constructor(pos, code, message) {
        super("YAMLWarning", pos, code, message);
      }
    };
    var prettifyError = (src, lc) => (error) => {
      if (error.pos[0] === -1)
        return;
      error.linePos = error.pos.map((pos) => lc.linePos(pos));
      const { line, col } = error.linePos[0];
      error.message += ` at line ${line}, column ${col}`;
      let ci = col - 1;
      let lineStr = src.substring(lc.lineStarts[line - 1], lc.lineStarts[line]).replace(/[\n\r]+$/, "");
      if (ci >= 60 && lineStr.length > 80) {
        const trimStart = Math.min(ci - 39, lineStr.length - 79);
        lineStr = "\u2026" + lineStr.substring(trimStart);
        ci -= trimStart - 1;
      }
      if (lineStr.length > 80)
        lineStr = lineStr.substring(0, 79) + "\u2026";
      if (line > 1 && /^ *$/.test(lineStr.substring(0, ci))) {
        let prev = src.substring(lc.lineStarts[line - 2], lc.lineStarts[line - 1]);
        if (prev.length > 80)
          prev = prev.substring(0, 79) + "\u2026\n";
        lineStr = prev + lineStr;
      }
      if (/[^ ]/.test(lineStr)) {
        let count = 1;
        const end = error.linePos[1];
        if (end?.line === line && end.col > col) {
          count = Math.max(1, Math.min(end.col - col, 80 - ci));
        }
        const pointer = " ".repeat(ci) + "^".repeat(count);
        error.message += `:

${lineStr}
${pointer}
`;
      }
    };
    exports.YAMLError = YAMLError;
    exports.YAMLParseError = YAMLParseError;
    exports.YAMLWarning = YAMLWarning;
    exports.prettifyError = prettifyError;
  }
});

// node_modules/yaml/dist/compose/resolve-props.js
var require_resolve_props = __commonJS({
  "node_modules/yaml/dist/compose/resolve-props.js"(exports) {
    "use strict";
    function resolveProps(tokens, { flow, indicator, next, offset, onError, parentIndent, startOnNewline }) {
      let spaceBefore = false;
      let atNewline = startOnNewline;
      let hasSpace = startOnNewline;
      let comment = "";
      let commentSep = "";
      let hasNewline = false;
      let reqSpace = false;
      let tab = null;
      let anchor = null;
      let tag = null;
      let newlineAfterProp = null;
      let comma = null;
      let found = null;
      let start = null;
      for (const token of tokens) {
        if (reqSpace) {
          if (token.type !== "space" && token.type !== "newline" && token.type !== "comma")
            onError(token.offset, "MISSING_CHAR", "Tags and anchors must be separated from the next token by white space");
          reqSpace = false;
        }
        if (tab) {
          if (atNewline && token.type !== "comment" && token.type !== "newline") {
            onError(tab, "TAB_AS_INDENT", "Tabs are not allowed as indentation");
          }
          tab = null;
        }
        switch (token.type) {
          case "space":
            if (!flow && (indicator !== "doc-start" || next?.type !== "flow-collection") && token.source.includes("	")) {
              tab = token;
            }
            hasSpace = true;
            break;
          case "comment": {
            if (!hasSpace)
              onError(token, "MISSING_CHAR", "Comments must be separated from other tokens by white space characters");
            const cb = token.source.substring(1) || " ";
            if (!comment)
              comment = cb;
            else
              comment += commentSep + cb;
            commentSep = "";
            atNewline = false;
            break;
          }
          case "newline":
            if (atNewline) {
              if (comment)
                comment += token.source;
              else if (!found || indicator !== "seq-item-ind")
                spaceBefore = true;
            } else
              commentSep += token.source;
            atNewline = true;
            hasNewline = true;
            if (anchor || tag)
              newlineAfterProp = token;
            hasSpace = true;
            break;
          case "anchor":
            if (anchor)
              onError(token, "MULTIPLE_ANCHORS", "A node can have at most one anchor");
            if (token.source.endsWith(":"))
              onError(token.offset + token.source.length - 1, "BAD_ALIAS", "Anchor ending in : is ambiguous", true);
            anchor = token;
            start ?? (start = token.offset);
            atNewline = false;
            hasSpace = false;
            reqSpace = true;
            break;
          case "tag": {
            if (tag)
              onError(token, "MULTIPLE_TAGS", "A node can have at most one tag");
            tag = token;
            start ?? (start = token.offset);
            atNewline = false;
            hasSpace = false;
            reqSpace = true;
            break;
          }
          case indicator:
            if (anchor || tag)
              onError(token, "BAD_PROP_ORDER", `Anchors and tags must be after the ${token.source} indicator`);
            if (found)
              onError(token, "UNEXPECTED_TOKEN", `Unexpected ${token.source} in ${flow ?? "collection"}`);
            found = token;
            atNewline = indicator === "seq-item-ind" || indicator === "explicit-key-ind";
            hasSpace = false;
            break;
          case "comma":
            if (flow) {
              if (comma)
                onError(token, "UNEXPECTED_TOKEN", `Unexpected , in ${flow}`);
              comma = token;
              atNewline = false;
              hasSpace = false;
              break;
            }
          // else fallthrough
          default:
            onError(token, "UNEXPECTED_TOKEN", `Unexpected ${token.type} token`);
            atNewline = false;
            hasSpace = false;
        }
      }
      const last = tokens[tokens.length - 1];
      const end = last ? last.offset + last.source.length : offset;
      if (reqSpace && next && next.type !== "space" && next.type !== "newline" && next.type !== "comma" && (next.type !== "scalar" || next.source !== "")) {
        onError(next.offset, "MISSING_CHAR", "Tags and anchors must be separated from the next token by white space");
      }
      if (tab && (atNewline && tab.indent <= parentIndent || next?.type === "block-map" || next?.type === "block-seq"))
        onError(tab, "TAB_AS_INDENT", "Tabs are not allowed as indentation");
      return {
        comma,
        found,
        spaceBefore,
        comment,
        hasNewline,
        anchor,
        tag,
        newlineAfterProp,
        end,
        start: start ?? end
      };
    }
    exports.resolveProps = resolveProps;
  }
});

// node_modules/yaml/dist/compose/util-contains-newline.js
var require_util_contains_newline = __commonJS({
  "node_modules/yaml/dist/compose/util-contains-newline.js"(exports) {
    "use strict";
    function containsNewline(key2) {
      if (!key2)
        return null;
      switch (key2.type) {
        case "alias":
        case "scalar":
        case "double-quoted-scalar":
        case "single-quoted-scalar":
          if (key2.source.includes("\n"))
            return true;
          if (key2.end) {
            for (const st of key2.end)
              if (st.type === "newline")
                return true;
          }
          return false;
        case "flow-collection":
          for (const it of key2.items) {
            for (const st of it.start)
              if (st.type === "newline")
                return true;
            if (it.sep) {
              for (const st of it.sep)
                if (st.type === "newline")
                  return true;
            }
            if (containsNewline(it.key) || containsNewline(it.value))
              return true;
          }
          return false;
        default:
          return true;
      }
    }
    exports.containsNewline = containsNewline;
  }
});

// node_modules/yaml/dist/compose/util-flow-indent-check.js
var require_util_flow_indent_check = __commonJS({
  "node_modules/yaml/dist/compose/util-flow-indent-check.js"(exports) {
    "use strict";
    var utilContainsNewline = require_util_contains_newline();
    function flowIndentCheck(indent, fc, onError) {
      if (fc?.type === "flow-collection") {
        const end = fc.end[0];
        if (end.indent === indent && (end.source === "]" || end.source === "}") && utilContainsNewline.containsNewline(fc)) {
          const msg = "Flow end indicator should be more indented than parent";
          onError(end, "BAD_INDENT", msg, true);
        }
      }
    }
    exports.flowIndentCheck = flowIndentCheck;
  }
});

// node_modules/yaml/dist/compose/util-map-includes.js
var require_util_map_includes = __commonJS({
  "node_modules/yaml/dist/compose/util-map-includes.js"(exports) {
    "use strict";
    var identity = require_identity();
    function mapIncludes(ctx, items, search) {
      const { uniqueKeys } = ctx.options;
      if (uniqueKeys === false)
        return false;
      const isEqual = typeof uniqueKeys === "function" ? uniqueKeys : (a, b) => a === b || identity.isScalar(a) && identity.isScalar(b) && a.value === b.value;
      return items.some((pair) => isEqual(pair.key, search));
    }
    exports.mapIncludes = mapIncludes;
  }
});

// node_modules/yaml/dist/compose/resolve-block-map.js
var require_resolve_block_map = __commonJS({
  "node_modules/yaml/dist/compose/resolve-block-map.js"(exports) {
    "use strict";
    var Pair = require_Pair();
    var YAMLMap = require_YAMLMap();
    var resolveProps = require_resolve_props();
    var utilContainsNewline = require_util_contains_newline();
    var utilFlowIndentCheck = require_util_flow_indent_check();
    var utilMapIncludes = require_util_map_includes();
    var startColMsg = "All mapping items must start at the same column";
    function resolveBlockMap({ composeNode, composeEmptyNode }, ctx, bm, onError, tag) {
      const NodeClass = tag?.nodeClass ?? YAMLMap.YAMLMap;
      const map = new NodeClass(ctx.schema);
      if (ctx.atRoot)
        ctx.atRoot = false;
      let offset = bm.offset;
      let commentEnd = null;
      for (const collItem of bm.items) {
        const { start, key: key2, sep: sep2, value } = collItem;
        const keyProps = resolveProps.resolveProps(start, {
          indicator: "explicit-key-ind",
          next: key2 ?? sep2?.[0],
          offset,
          onError,
          parentIndent: bm.indent,
          startOnNewline: true
        });
        const implicitKey = !keyProps.found;
        if (implicitKey) {
          if (key2) {
            if (key2.type === "block-seq")
              onError(offset, "BLOCK_AS_IMPLICIT_KEY", "A block sequence may not be used as an implicit map key");
            else if ("indent" in key2 && key2.indent !== bm.indent)
              onError(offset, "BAD_INDENT", startColMsg);
          }
          if (!keyProps.anchor && !keyProps.tag && !sep2) {
            commentEnd = keyProps.end;
            if (keyProps.comment) {
              if (map.comment)
                map.comment += "\n" + keyProps.comment;
              else
                map.comment = keyProps.comment;
            }
            continue;
          }
          if (keyProps.newlineAfterProp || utilContainsNewline.containsNewline(key2)) {
            onError(key2 ?? start[start.length - 1], "MULTILINE_IMPLICIT_KEY", "Implicit keys need to be on a single line");
          }
        } else if (keyProps.found?.indent !== bm.indent) {
          onError(offset, "BAD_INDENT", startColMsg);
        }
        ctx.atKey = true;
        const keyStart = keyProps.end;
        const keyNode = key2 ? composeNode(ctx, key2, keyProps, onError) : composeEmptyNode(ctx, keyStart, start, null, keyProps, onError);
        if (ctx.schema.compat)
          utilFlowIndentCheck.flowIndentCheck(bm.indent, key2, onError);
        ctx.atKey = false;
        if (utilMapIncludes.mapIncludes(ctx, map.items, keyNode))
          onError(keyStart, "DUPLICATE_KEY", "Map keys must be unique");
        const valueProps = resolveProps.resolveProps(sep2 ?? [], {
          indicator: "map-value-ind",
          next: value,
          offset: keyNode.range[2],
          onError,
          parentIndent: bm.indent,
          startOnNewline: !key2 || key2.type === "block-scalar"
        });
        offset = valueProps.end;
        if (valueProps.found) {
          if (implicitKey) {
            if (value?.type === "block-map" && !valueProps.hasNewline)
              onError(offset, "BLOCK_AS_IMPLICIT_KEY", "Nested mappings are not allowed in compact mappings");
            if (ctx.options.strict && keyProps.start < valueProps.found.offset - 1024)
              onError(keyNode.range, "KEY_OVER_1024_CHARS", "The : indicator must be at most 1024 chars after the start of an implicit block mapping key");
          }
          const valueNode = value ? composeNode(ctx, value, valueProps, onError) : composeEmptyNode(ctx, offset, sep2, null, valueProps, onError);
          if (ctx.schema.compat)
            utilFlowIndentCheck.flowIndentCheck(bm.indent, value, onError);
          offset = valueNode.range[2];
          const pair = new Pair.Pair(keyNode, valueNode);
          if (ctx.options.keepSourceTokens)
            pair.srcToken = collItem;
          map.items.push(pair);
        } else {
          if (implicitKey)
            onError(keyNode.range, "MISSING_CHAR", "Implicit map keys need to be followed by map values");
          if (valueProps.comment) {
            if (keyNode.comment)
              keyNode.comment += "\n" + valueProps.comment;
            else
              keyNode.comment = valueProps.comment;
          }
          const pair = new Pair.Pair(keyNode);
          if (ctx.options.keepSourceTokens)
            pair.srcToken = collItem;
          map.items.push(pair);
        }
      }
      if (commentEnd && commentEnd < offset)
        onError(commentEnd, "IMPOSSIBLE", "Map comment with trailing content");
      map.range = [bm.offset, offset, commentEnd ?? offset];
      return map;
    }
    exports.resolveBlockMap = resolveBlockMap;
  }
});

// node_modules/yaml/dist/compose/resolve-block-seq.js
var require_resolve_block_seq = __commonJS({
  "node_modules/yaml/dist/compose/resolve-block-seq.js"(exports) {
    "use strict";
    var YAMLSeq = require_YAMLSeq();
    var resolveProps = require_resolve_props();
    var utilFlowIndentCheck = require_util_flow_indent_check();
    function resolveBlockSeq({ composeNode, composeEmptyNode }, ctx, bs, onError, tag) {
      const NodeClass = tag?.nodeClass ?? YAMLSeq.YAMLSeq;
      const seq = new NodeClass(ctx.schema);
      if (ctx.atRoot)
        ctx.atRoot = false;
      if (ctx.atKey)
        ctx.atKey = false;
      let offset = bs.offset;
      let commentEnd = null;
      for (const { start, value } of bs.items) {
        const props = resolveProps.resolveProps(start, {
          indicator: "seq-item-ind",
          next: value,
          offset,
          onError,
          parentIndent: bs.indent,
          startOnNewline: true
        });
        if (!props.found) {
          if (props.anchor || props.tag || value) {
            if (value?.type === "block-seq")
              onError(props.end, "BAD_INDENT", "All sequence items must start at the same column");
            else
              onError(offset, "MISSING_CHAR", "Sequence item without - indicator");
          } else {
            commentEnd = props.end;
            if (props.comment)
              seq.comment = props.comment;
            continue;
          }
        }
        const node = value ? composeNode(ctx, value, props, onError) : composeEmptyNode(ctx, props.end, start, null, props, onError);
        if (ctx.schema.compat)
          utilFlowIndentCheck.flowIndentCheck(bs.indent, value, onError);
        offset = node.range[2];
        seq.items.push(node);
      }
      seq.range = [bs.offset, offset, commentEnd ?? offset];
      return seq;
    }
    exports.resolveBlockSeq = resolveBlockSeq;
  }
});

// node_modules/yaml/dist/compose/resolve-end.js
var require_resolve_end = __commonJS({
  "node_modules/yaml/dist/compose/resolve-end.js"(exports) {
    "use strict";
    function resolveEnd(end, offset, reqSpace, onError) {
      let comment = "";
      if (end) {
        let hasSpace = false;
        let sep2 = "";
        for (const token of end) {
          const { source, type } = token;
          switch (type) {
            case "space":
              hasSpace = true;
              break;
            case "comment": {
              if (reqSpace && !hasSpace)
                onError(token, "MISSING_CHAR", "Comments must be separated from other tokens by white space characters");
              const cb = source.substring(1) || " ";
              if (!comment)
                comment = cb;
              else
                comment += sep2 + cb;
              sep2 = "";
              break;
            }
            case "newline":
              if (comment)
                sep2 += source;
              hasSpace = true;
              break;
            default:
              onError(token, "UNEXPECTED_TOKEN", `Unexpected ${type} at node end`);
          }
          offset += source.length;
        }
      }
      return { comment, offset };
    }
    exports.resolveEnd = resolveEnd;
  }
});

// node_modules/yaml/dist/compose/resolve-flow-collection.js
var require_resolve_flow_collection = __commonJS({
  "node_modules/yaml/dist/compose/resolve-flow-collection.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Pair = require_Pair();
    var YAMLMap = require_YAMLMap();
    var YAMLSeq = require_YAMLSeq();
    var resolveEnd = require_resolve_end();
    var resolveProps = require_resolve_props();
    var utilContainsNewline = require_util_contains_newline();
    var utilMapIncludes = require_util_map_includes();
    var blockMsg = "Block collections are not allowed within flow collections";
    var isBlock = (token) => token && (token.type === "block-map" || token.type === "block-seq");
    function resolveFlowCollection({ composeNode, composeEmptyNode }, ctx, fc, onError, tag) {
      const isMap2 = fc.start.source === "{";
      const fcName = isMap2 ? "flow map" : "flow sequence";
      const NodeClass = tag?.nodeClass ?? (isMap2 ? YAMLMap.YAMLMap : YAMLSeq.YAMLSeq);
      const coll = new NodeClass(ctx.schema);
      coll.flow = true;
      const atRoot = ctx.atRoot;
      if (atRoot)
        ctx.atRoot = false;
      if (ctx.atKey)
        ctx.atKey = false;
      let offset = fc.offset + fc.start.source.length;
      for (let i = 0; i < fc.items.length; ++i) {
        const collItem = fc.items[i];
        const { start, key: key2, sep: sep2, value } = collItem;
        const props = resolveProps.resolveProps(start, {
          flow: fcName,
          indicator: "explicit-key-ind",
          next: key2 ?? sep2?.[0],
          offset,
          onError,
          parentIndent: fc.indent,
          startOnNewline: false
        });
        if (!props.found) {
          if (!props.anchor && !props.tag && !sep2 && !value) {
            if (i === 0 && props.comma)
              onError(props.comma, "UNEXPECTED_TOKEN", `Unexpected , in ${fcName}`);
            else if (i < fc.items.length - 1)
              onError(props.start, "UNEXPECTED_TOKEN", `Unexpected empty item in ${fcName}`);
            if (props.comment) {
              if (coll.comment)
                coll.comment += "\n" + props.comment;
              else
                coll.comment = props.comment;
            }
            offset = props.end;
            continue;
          }
          if (!isMap2 && ctx.options.strict && utilContainsNewline.containsNewline(key2))
            onError(
              key2,
              // checked by containsNewline()
              "MULTILINE_IMPLICIT_KEY",
              "Implicit keys of flow sequence pairs need to be on a single line"
            );
        }
        if (i === 0) {
          if (props.comma)
            onError(props.comma, "UNEXPECTED_TOKEN", `Unexpected , in ${fcName}`);
        } else {
          if (!props.comma)
            onError(props.start, "MISSING_CHAR", `Missing , between ${fcName} items`);
          if (props.comment) {
            let prevItemComment = "";
            loop: for (const st of start) {
              switch (st.type) {
                case "comma":
                case "space":
                  break;
                case "comment":
                  prevItemComment = st.source.substring(1);
                  break loop;
                default:
                  break loop;
              }
            }
            if (prevItemComment) {
              let prev = coll.items[coll.items.length - 1];
              if (identity.isPair(prev))
                prev = prev.value ?? prev.key;
              if (prev.comment)
                prev.comment += "\n" + prevItemComment;
              else
                prev.comment = prevItemComment;
              props.comment = props.comment.substring(prevItemComment.length + 1);
            }
          }
        }
        if (!isMap2 && !sep2 && !props.found) {
          const valueNode = value ? composeNode(ctx, value, props, onError) : composeEmptyNode(ctx, props.end, sep2, null, props, onError);
          coll.items.push(valueNode);
          offset = valueNode.range[2];
          if (isBlock(value))
            onError(valueNode.range, "BLOCK_IN_FLOW", blockMsg);
        } else {
          ctx.atKey = true;
          const keyStart = props.end;
          const keyNode = key2 ? composeNode(ctx, key2, props, onError) : composeEmptyNode(ctx, keyStart, start, null, props, onError);
          if (isBlock(key2))
            onError(keyNode.range, "BLOCK_IN_FLOW", blockMsg);
          ctx.atKey = false;
          const valueProps = resolveProps.resolveProps(sep2 ?? [], {
            flow: fcName,
            indicator: "map-value-ind",
            next: value,
            offset: keyNode.range[2],
            onError,
            parentIndent: fc.indent,
            startOnNewline: false
          });
          if (valueProps.found) {
            if (!isMap2 && !props.found && ctx.options.strict) {
              if (sep2)
                for (const st of sep2) {
                  if (st === valueProps.found)
                    break;
                  if (st.type === "newline") {
                    onError(st, "MULTILINE_IMPLICIT_KEY", "Implicit keys of flow sequence pairs need to be on a single line");
                    break;
                  }
                }
              if (props.start < valueProps.found.offset - 1024)
                onError(valueProps.found, "KEY_OVER_1024_CHARS", "The : indicator must be at most 1024 chars after the start of an implicit flow sequence key");
            }
          } else if (value) {
            if ("source" in value && value.source?.[0] === ":")
              onError(value, "MISSING_CHAR", `Missing space after : in ${fcName}`);
            else
              onError(valueProps.start, "MISSING_CHAR", `Missing , or : between ${fcName} items`);
          }
          const valueNode = value ? composeNode(ctx, value, valueProps, onError) : valueProps.found ? composeEmptyNode(ctx, valueProps.end, sep2, null, valueProps, onError) : null;
          if (valueNode) {
            if (isBlock(value))
              onError(valueNode.range, "BLOCK_IN_FLOW", blockMsg);
          } else if (valueProps.comment) {
            if (keyNode.comment)
              keyNode.comment += "\n" + valueProps.comment;
            else
              keyNode.comment = valueProps.comment;
          }
          const pair = new Pair.Pair(keyNode, valueNode);
          if (ctx.options.keepSourceTokens)
            pair.srcToken = collItem;
          if (isMap2) {
            const map = coll;
            if (utilMapIncludes.mapIncludes(ctx, map.items, keyNode))
              onError(keyStart, "DUPLICATE_KEY", "Map keys must be unique");
            map.items.push(pair);
          } else {
            const map = new YAMLMap.YAMLMap(ctx.schema);
            map.flow = true;
            map.items.push(pair);
            const endRange = (valueNode ?? keyNode).range;
            map.range = [keyNode.range[0], endRange[1], endRange[2]];
            coll.items.push(map);
          }
          offset = valueNode ? valueNode.range[2] : valueProps.end;
        }
      }
      const expectedEnd = isMap2 ? "}" : "]";
      const [ce, ...ee] = fc.end;
      let cePos = offset;
      if (ce?.source === expectedEnd)
        cePos = ce.offset + ce.source.length;
      else {
        const name = fcName[0].toUpperCase() + fcName.substring(1);
        const msg = atRoot ? `${name} must end with a ${expectedEnd}` : `${name} in block collection must be sufficiently indented and end with a ${expectedEnd}`;
        onError(offset, atRoot ? "MISSING_CHAR" : "BAD_INDENT", msg);
        if (ce && ce.source.length !== 1)
          ee.unshift(ce);
      }
      if (ee.length > 0) {
        const end = resolveEnd.resolveEnd(ee, cePos, ctx.options.strict, onError);
        if (end.comment) {
          if (coll.comment)
            coll.comment += "\n" + end.comment;
          else
            coll.comment = end.comment;
        }
        coll.range = [fc.offset, cePos, end.offset];
      } else {
        coll.range = [fc.offset, cePos, cePos];
      }
      return coll;
    }
    exports.resolveFlowCollection = resolveFlowCollection;
  }
});

// node_modules/yaml/dist/compose/compose-collection.js
var require_compose_collection = __commonJS({
  "node_modules/yaml/dist/compose/compose-collection.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Scalar = require_Scalar();
    var YAMLMap = require_YAMLMap();
    var YAMLSeq = require_YAMLSeq();
    var resolveBlockMap = require_resolve_block_map();
    var resolveBlockSeq = require_resolve_block_seq();
    var resolveFlowCollection = require_resolve_flow_collection();
    function resolveCollection(CN, ctx, token, onError, tagName, tag) {
      const coll = token.type === "block-map" ? resolveBlockMap.resolveBlockMap(CN, ctx, token, onError, tag) : token.type === "block-seq" ? resolveBlockSeq.resolveBlockSeq(CN, ctx, token, onError, tag) : resolveFlowCollection.resolveFlowCollection(CN, ctx, token, onError, tag);
      const Coll = coll.constructor;
      if (tagName === "!" || tagName === Coll.tagName) {
        coll.tag = Coll.tagName;
        return coll;
      }
      if (tagName)
        coll.tag = tagName;
      return coll;
    }
    function composeCollection(CN, ctx, token, props, onError) {
      const tagToken = props.tag;
      const tagName = !tagToken ? null : ctx.directives.tagName(tagToken.source, (msg) => onError(tagToken, "TAG_RESOLVE_FAILED", msg));
      if (token.type === "block-seq") {
        const { anchor, newlineAfterProp: nl } = props;
        const lastProp = anchor && tagToken ? anchor.offset > tagToken.offset ? anchor : tagToken : anchor ?? tagToken;
        if (lastProp && (!nl || nl.offset < lastProp.offset)) {
          const message = "Missing newline after block sequence props";
          onError(lastProp, "MISSING_CHAR", message);
        }
      }
      const expType = token.type === "block-map" ? "map" : token.type === "block-seq" ? "seq" : token.start.source === "{" ? "map" : "seq";
      if (!tagToken || !tagName || tagName === "!" || tagName === YAMLMap.YAMLMap.tagName && expType === "map" || tagName === YAMLSeq.YAMLSeq.tagName && expType === "seq") {
        return resolveCollection(CN, ctx, token, onError, tagName);
      }
      let tag = ctx.schema.tags.find((t) => t.tag === tagName && t.collection === expType);
      if (!tag) {
        const kt = ctx.schema.knownTags[tagName];
        if (kt?.collection === expType) {
          ctx.schema.tags.push(Object.assign({}, kt, { default: false }));
          tag = kt;
        } else {
          if (kt) {
            onError(tagToken, "BAD_COLLECTION_TYPE", `${kt.tag} used for ${expType} collection, but expects ${kt.collection ?? "scalar"}`, true);
          } else {
            onError(tagToken, "TAG_RESOLVE_FAILED", `Unresolved tag: ${tagName}`, true);
          }
          return resolveCollection(CN, ctx, token, onError, tagName);
        }
      }
      const coll = resolveCollection(CN, ctx, token, onError, tagName, tag);
      const res = tag.resolve?.(coll, (msg) => onError(tagToken, "TAG_RESOLVE_FAILED", msg), ctx.options) ?? coll;
      const node = identity.isNode(res) ? res : new Scalar.Scalar(res);
      node.range = coll.range;
      node.tag = tagName;
      if (tag?.format)
        node.format = tag.format;
      return node;
    }
    exports.composeCollection = composeCollection;
  }
});

// node_modules/yaml/dist/compose/resolve-block-scalar.js
var require_resolve_block_scalar = __commonJS({
  "node_modules/yaml/dist/compose/resolve-block-scalar.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    function resolveBlockScalar(ctx, scalar2, onError) {
      const start = scalar2.offset;
      const header = parseBlockScalarHeader(scalar2, ctx.options.strict, onError);
      if (!header)
        return { value: "", type: null, comment: "", range: [start, start, start] };
      const type = header.mode === ">" ? Scalar.Scalar.BLOCK_FOLDED : Scalar.Scalar.BLOCK_LITERAL;
      const lines = scalar2.source ? splitLines(scalar2.source) : [];
      let chompStart = lines.length;
      for (let i = lines.length - 1; i >= 0; --i) {
        const content = lines[i][1];
        if (content === "" || content === "\r")
          chompStart = i;
        else
          break;
      }
      if (chompStart === 0) {
        const value2 = header.chomp === "+" && lines.length > 0 ? "\n".repeat(Math.max(1, lines.length - 1)) : "";
        let end2 = start + header.length;
        if (scalar2.source)
          end2 += scalar2.source.length;
        return { value: value2, type, comment: header.comment, range: [start, end2, end2] };
      }
      let trimIndent = scalar2.indent + header.indent;
      let offset = scalar2.offset + header.length;
      let contentStart = 0;
      for (let i = 0; i < chompStart; ++i) {
        const [indent, content] = lines[i];
        if (content === "" || content === "\r") {
          if (header.indent === 0 && indent.length > trimIndent)
            trimIndent = indent.length;
        } else {
          if (indent.length < trimIndent) {
            const message = "Block scalars with more-indented leading empty lines must use an explicit indentation indicator";
            onError(offset + indent.length, "MISSING_CHAR", message);
          }
          if (header.indent === 0)
            trimIndent = indent.length;
          contentStart = i;
          if (trimIndent === 0 && !ctx.atRoot) {
            const message = "Block scalar values in collections must be indented";
            onError(offset, "BAD_INDENT", message);
          }
          break;
        }
        offset += indent.length + content.length + 1;
      }
      for (let i = lines.length - 1; i >= chompStart; --i) {
        if (lines[i][0].length > trimIndent)
          chompStart = i + 1;
      }
      let value = "";
      let sep2 = "";
      let prevMoreIndented = false;
      for (let i = 0; i < contentStart; ++i)
        value += lines[i][0].slice(trimIndent) + "\n";
      for (let i = contentStart; i < chompStart; ++i) {
        let [indent, content] = lines[i];
        offset += indent.length + content.length + 1;
        const crlf = content[content.length - 1] === "\r";
        if (crlf)
          content = content.slice(0, -1);
        if (content && indent.length < trimIndent) {
          const src = header.indent ? "explicit indentation indicator" : "first line";
          const message = `Block scalar lines must not be less indented than their ${src}`;
          onError(offset - content.length - (crlf ? 2 : 1), "BAD_INDENT", message);
          indent = "";
        }
        if (type === Scalar.Scalar.BLOCK_LITERAL) {
          value += sep2 + indent.slice(trimIndent) + content;
          sep2 = "\n";
        } else if (indent.length > trimIndent || content[0] === "	") {
          if (sep2 === " ")
            sep2 = "\n";
          else if (!prevMoreIndented && sep2 === "\n")
            sep2 = "\n\n";
          value += sep2 + indent.slice(trimIndent) + content;
          sep2 = "\n";
          prevMoreIndented = true;
        } else if (content === "") {
          if (sep2 === "\n")
            value += "\n";
          else
            sep2 = "\n";
        } else {
          value += sep2 + content;
          sep2 = " ";
          prevMoreIndented = false;
        }
      }
      switch (header.chomp) {
        case "-":
          break;
        case "+":
          for (let i = chompStart; i < lines.length; ++i)
            value += "\n" + lines[i][0].slice(trimIndent);
          if (value[value.length - 1] !== "\n")
            value += "\n";
          break;
        default:
          value += "\n";
      }
      const end = start + header.length + scalar2.source.length;
      return { value, type, comment: header.comment, range: [start, end, end] };
    }
    function parseBlockScalarHeader({ offset, props }, strict, onError) {
      if (props[0].type !== "block-scalar-header") {
        onError(props[0], "IMPOSSIBLE", "Block scalar header not found");
        return null;
      }
      const { source } = props[0];
      const mode = source[0];
      let indent = 0;
      let chomp = "";
      let error = -1;
      for (let i = 1; i < source.length; ++i) {
        const ch = source[i];
        if (!chomp && (ch === "-" || ch === "+"))
          chomp = ch;
        else {
          const n = Number(ch);
          if (!indent && n)
            indent = n;
          else if (error === -1)
            error = offset + i;
        }
      }
      if (error !== -1)
        onError(error, "UNEXPECTED_TOKEN", `Block scalar header includes extra characters: ${source}`);
      let hasSpace = false;
      let comment = "";
      let length = source.length;
      for (let i = 1; i < props.length; ++i) {
        const token = props[i];
        switch (token.type) {
          case "space":
            hasSpace = true;
          // fallthrough
          case "newline":
            length += token.source.length;
            break;
          case "comment":
            if (strict && !hasSpace) {
              const message = "Comments must be separated from other tokens by white space characters";
              onError(token, "MISSING_CHAR", message);
            }
            length += token.source.length;
            comment = token.source.substring(1);
            break;
          case "error":
            onError(token, "UNEXPECTED_TOKEN", token.message);
            length += token.source.length;
            break;
          /* istanbul ignore next should not happen */
          default: {
            const message = `Unexpected token in block scalar header: ${token.type}`;
            onError(token, "UNEXPECTED_TOKEN", message);
            const ts = token.source;
            if (ts && typeof ts === "string")
              length += ts.length;
          }
        }
      }
      return { mode, indent, chomp, comment, length };
    }
    function splitLines(source) {
      const split = source.split(/\n( *)/);
      const first = split[0];
      const m = first.match(/^( *)/);
      const line0 = m?.[1] ? [m[1], first.slice(m[1].length)] : ["", first];
      const lines = [line0];
      for (let i = 1; i < split.length; i += 2)
        lines.push([split[i], split[i + 1]]);
      return lines;
    }
    exports.resolveBlockScalar = resolveBlockScalar;
  }
});

// node_modules/yaml/dist/compose/resolve-flow-scalar.js
var require_resolve_flow_scalar = __commonJS({
  "node_modules/yaml/dist/compose/resolve-flow-scalar.js"(exports) {
    "use strict";
    var Scalar = require_Scalar();
    var resolveEnd = require_resolve_end();
    function resolveFlowScalar(scalar2, strict, onError) {
      const { offset, type, source, end } = scalar2;
      let _type;
      let value;
      const _onError = (rel, code, msg) => onError(offset + rel, code, msg);
      switch (type) {
        case "scalar":
          _type = Scalar.Scalar.PLAIN;
          value = plainValue(source, _onError);
          break;
        case "single-quoted-scalar":
          _type = Scalar.Scalar.QUOTE_SINGLE;
          value = singleQuotedValue(source, _onError);
          break;
        case "double-quoted-scalar":
          _type = Scalar.Scalar.QUOTE_DOUBLE;
          value = doubleQuotedValue(source, _onError);
          break;
        /* istanbul ignore next should not happen */
        default:
          onError(scalar2, "UNEXPECTED_TOKEN", `Expected a flow scalar value, but found: ${type}`);
          return {
            value: "",
            type: null,
            comment: "",
            range: [offset, offset + source.length, offset + source.length]
          };
      }
      const valueEnd = offset + source.length;
      const re = resolveEnd.resolveEnd(end, valueEnd, strict, onError);
      return {
        value,
        type: _type,
        comment: re.comment,
        range: [offset, valueEnd, re.offset]
      };
    }
    function plainValue(source, onError) {
      let badChar = "";
      switch (source[0]) {
        /* istanbul ignore next should not happen */
        case "	":
          badChar = "a tab character";
          break;
        case ",":
          badChar = "flow indicator character ,";
          break;
        case "%":
          badChar = "directive indicator character %";
          break;
        case "|":
        case ">": {
          badChar = `block scalar indicator ${source[0]}`;
          break;
        }
        case "@":
        case "`": {
          badChar = `reserved character ${source[0]}`;
          break;
        }
      }
      if (badChar)
        onError(0, "BAD_SCALAR_START", `Plain value cannot start with ${badChar}`);
      return unfoldLines(source);
    }
    function singleQuotedValue(source, onError) {
      if (source[source.length - 1] !== "'" || source.length === 1)
        onError(source.length, "MISSING_CHAR", "Missing closing 'quote");
      return unfoldLines(source.slice(1, -1)).replace(/''/g, "'");
    }
    function unfoldLines(source) {
      const line = /(.*?)\r?\n/sy;
      let match = line.exec(source);
      if (!match)
        return source;
      let trimEnd, trimBoth;
      try {
        trimEnd = new RegExp("(?<![ 	])[ 	]+$");
        trimBoth = new RegExp("^[ 	]+|(?<![ 	])[ 	]+$", "g");
      } catch {
        trimEnd = /[ \t]+$/;
        trimBoth = /^[ \t]+|[ \t]+$/g;
      }
      let res = match[1].replace(trimEnd, "");
      let sep2 = " ";
      let pos = line.lastIndex;
      while (match = line.exec(source)) {
        const lm = match[1].replace(trimBoth, "");
        if (lm === "") {
          if (sep2 === "\n")
            res += sep2;
          else
            sep2 = "\n";
        } else {
          res += sep2 + lm;
          sep2 = " ";
        }
        pos = line.lastIndex;
      }
      const last = /[ \t]*(.*)/sy;
      last.lastIndex = pos;
      match = last.exec(source);
      return res + sep2 + (match?.[1] ?? "");
    }
    function doubleQuotedValue(source, onError) {
      let res = "";
      for (let i = 1; i < source.length - 1; ++i) {
        const ch = source[i];
        if (ch === "\r" && source[i + 1] === "\n")
          continue;
        if (ch === "\n") {
          const { fold, offset } = foldNewline(source, i);
          res += fold;
          i = offset;
        } else if (ch === "\\") {
          let next = source[++i];
          const cc = escapeCodes[next];
          if (cc)
            res += cc;
          else if (next === "\n") {
            next = source[i + 1];
            while (next === " " || next === "	")
              next = source[++i + 1];
          } else if (next === "\r" && source[i + 1] === "\n") {
            next = source[++i + 1];
            while (next === " " || next === "	")
              next = source[++i + 1];
          } else if (next === "x" || next === "u" || next === "U") {
            const length = next === "x" ? 2 : next === "u" ? 4 : 8;
            res += parseCharCode(source, i + 1, length, onError);
            i += length;
          } else {
            const raw = source.substr(i - 1, 2);
            onError(i - 1, "BAD_DQ_ESCAPE", `Invalid escape sequence ${raw}`);
            res += raw;
          }
        } else if (ch === " " || ch === "	") {
          const wsStart = i;
          let next = source[i + 1];
          while (next === " " || next === "	")
            next = source[++i + 1];
          if (next !== "\n" && !(next === "\r" && source[i + 2] === "\n"))
            res += i > wsStart ? source.slice(wsStart, i + 1) : ch;
        } else {
          res += ch;
        }
      }
      if (source[source.length - 1] !== '"' || source.length === 1)
        onError(source.length, "MISSING_CHAR", 'Missing closing "quote');
      return res;
    }
    function foldNewline(source, offset) {
      let fold = "";
      let ch = source[offset + 1];
      while (ch === " " || ch === "	" || ch === "\n" || ch === "\r") {
        if (ch === "\r" && source[offset + 2] !== "\n")
          break;
        if (ch === "\n")
          fold += "\n";
        offset += 1;
        ch = source[offset + 1];
      }
      if (!fold)
        fold = " ";
      return { fold, offset };
    }
    var escapeCodes = {
      "0": "\0",
      // null character
      a: "\x07",
      // bell character
      b: "\b",
      // backspace
      e: "\x1B",
      // escape character
      f: "\f",
      // form feed
      n: "\n",
      // line feed
      r: "\r",
      // carriage return
      t: "	",
      // horizontal tab
      v: "\v",
      // vertical tab
      N: "\x85",
      // Unicode next line
      _: "\xA0",
      // Unicode non-breaking space
      L: "\u2028",
      // Unicode line separator
      P: "\u2029",
      // Unicode paragraph separator
      " ": " ",
      '"': '"',
      "/": "/",
      "\\": "\\",
      "	": "	"
    };
    function parseCharCode(source, offset, length, onError) {
      const cc = source.substr(offset, length);
      const ok = cc.length === length && /^[0-9a-fA-F]+$/.test(cc);
      const code = ok ? parseInt(cc, 16) : NaN;
      try {
        return String.fromCodePoint(code);
      } catch {
        const raw = source.substr(offset - 2, length + 2);
        onError(offset - 2, "BAD_DQ_ESCAPE", `Invalid escape sequence ${raw}`);
        return raw;
      }
    }
    exports.resolveFlowScalar = resolveFlowScalar;
  }
});

// node_modules/yaml/dist/compose/compose-scalar.js
var require_compose_scalar = __commonJS({
  "node_modules/yaml/dist/compose/compose-scalar.js"(exports) {
    "use strict";
    var identity = require_identity();
    var Scalar = require_Scalar();
    var resolveBlockScalar = require_resolve_block_scalar();
    var resolveFlowScalar = require_resolve_flow_scalar();
    function composeScalar(ctx, token, tagToken, onError) {
      const { value, type, comment, range: range2 } = token.type === "block-scalar" ? resolveBlockScalar.resolveBlockScalar(ctx, token, onError) : resolveFlowScalar.resolveFlowScalar(token, ctx.options.strict, onError);
      const tagName = tagToken ? ctx.directives.tagName(tagToken.source, (msg) => onError(tagToken, "TAG_RESOLVE_FAILED", msg)) : null;
      let tag;
      if (ctx.options.stringKeys && ctx.atKey) {
        tag = ctx.schema[identity.SCALAR];
      } else if (tagName)
        tag = findScalarTagByName(ctx.schema, value, tagName, tagToken, onError);
      else if (token.type === "scalar")
        tag = findScalarTagByTest(ctx, value, token, onError);
      else
        tag = ctx.schema[identity.SCALAR];
      let scalar2;
      try {
        const res = tag.resolve(value, (msg) => onError(tagToken ?? token, "TAG_RESOLVE_FAILED", msg), ctx.options);
        scalar2 = identity.isScalar(res) ? res : new Scalar.Scalar(res);
      } catch (error) {
        const msg = error instanceof Error ? error.message : String(error);
        onError(tagToken ?? token, "TAG_RESOLVE_FAILED", msg);
        scalar2 = new Scalar.Scalar(value);
      }
      scalar2.range = range2;
      scalar2.source = value;
      if (type)
        scalar2.type = type;
      if (tagName)
        scalar2.tag = tagName;
      if (tag.format)
        scalar2.format = tag.format;
      if (comment)
        scalar2.comment = comment;
      return scalar2;
    }
    function findScalarTagByName(schema, value, tagName, tagToken, onError) {
      if (tagName === "!")
        return schema[identity.SCALAR];
      const matchWithTest = [];
      for (const tag of schema.tags) {
        if (!tag.collection && tag.tag === tagName) {
          if (tag.default && tag.test)
            matchWithTest.push(tag);
          else
            return tag;
        }
      }
      for (const tag of matchWithTest)
        if (tag.test?.test(value))
          return tag;
      const kt = schema.knownTags[tagName];
      if (kt && !kt.collection) {
        schema.tags.push(Object.assign({}, kt, { default: false, test: void 0 }));
        return kt;
      }
      onError(tagToken, "TAG_RESOLVE_FAILED", `Unresolved tag: ${tagName}`, tagName !== "tag:yaml.org,2002:str");
      return schema[identity.SCALAR];
    }
    function findScalarTagByTest({ atKey, directives, schema }, value, token, onError) {
      const tag = schema.tags.find((tag2) => (tag2.default === true || atKey && tag2.default === "key") && tag2.test?.test(value)) || schema[identity.SCALAR];
      if (schema.compat) {
        const compat = schema.compat.find((tag2) => tag2.default && tag2.test?.test(value)) ?? schema[identity.SCALAR];
        if (tag.tag !== compat.tag) {
          const ts = directives.tagString(tag.tag);
          const cs = directives.tagString(compat.tag);
          const msg = `Value may be parsed as either ${ts} or ${cs}`;
          onError(token, "TAG_RESOLVE_FAILED", msg, true);
        }
      }
      return tag;
    }
    exports.composeScalar = composeScalar;
  }
});

// node_modules/yaml/dist/compose/util-empty-scalar-position.js
var require_util_empty_scalar_position = __commonJS({
  "node_modules/yaml/dist/compose/util-empty-scalar-position.js"(exports) {
    "use strict";
    function emptyScalarPosition(offset, before, pos) {
      if (before) {
        pos ?? (pos = before.length);
        for (let i = pos - 1; i >= 0; --i) {
          let st = before[i];
          switch (st.type) {
            case "space":
            case "comment":
            case "newline":
              offset -= st.source.length;
              continue;
          }
          st = before[++i];
          while (st?.type === "space") {
            offset += st.source.length;
            st = before[++i];
          }
          break;
        }
      }
      return offset;
    }
    exports.emptyScalarPosition = emptyScalarPosition;
  }
});

// node_modules/yaml/dist/compose/compose-node.js
var require_compose_node = __commonJS({
  "node_modules/yaml/dist/compose/compose-node.js"(exports) {
    "use strict";
    var Alias = require_Alias();
    var identity = require_identity();
    var composeCollection = require_compose_collection();
    var composeScalar = require_compose_scalar();
    var resolveEnd = require_resolve_end();
    var utilEmptyScalarPosition = require_util_empty_scalar_position();
    var CN = { composeNode, composeEmptyNode };
    function composeNode(ctx, token, props, onError) {
      const atKey = ctx.atKey;
      const { spaceBefore, comment, anchor, tag } = props;
      let node;
      let isSrcToken = true;
      switch (token.type) {
        case "alias":
          node = composeAlias(ctx, token, onError);
          if (anchor || tag)
            onError(token, "ALIAS_PROPS", "An alias node must not specify any properties");
          break;
        case "scalar":
        case "single-quoted-scalar":
        case "double-quoted-scalar":
        case "block-scalar":
          node = composeScalar.composeScalar(ctx, token, tag, onError);
          if (anchor)
            node.anchor = anchor.source.substring(1);
          break;
        case "block-map":
        case "block-seq":
        case "flow-collection":
          try {
            node = composeCollection.composeCollection(CN, ctx, token, props, onError);
            if (anchor)
              node.anchor = anchor.source.substring(1);
          } catch (error) {
            const message = error instanceof Error ? error.message : String(error);
            onError(token, "RESOURCE_EXHAUSTION", message);
          }
          break;
        default: {
          const message = token.type === "error" ? token.message : `Unsupported token (type: ${token.type})`;
          onError(token, "UNEXPECTED_TOKEN", message);
          isSrcToken = false;
        }
      }
      node ?? (node = composeEmptyNode(ctx, token.offset, void 0, null, props, onError));
      if (anchor && node.anchor === "")
        onError(anchor, "BAD_ALIAS", "Anchor cannot be an empty string");
      if (atKey && ctx.options.stringKeys && (!identity.isScalar(node) || typeof node.value !== "string" || node.tag && node.tag !== "tag:yaml.org,2002:str")) {
        const msg = "With stringKeys, all keys must be strings";
        onError(tag ?? token, "NON_STRING_KEY", msg);
      }
      if (spaceBefore)
        node.spaceBefore = true;
      if (comment) {
        if (token.type === "scalar" && token.source === "")
          node.comment = comment;
        else
          node.commentBefore = comment;
      }
      if (ctx.options.keepSourceTokens && isSrcToken)
        node.srcToken = token;
      return node;
    }
    function composeEmptyNode(ctx, offset, before, pos, { spaceBefore, comment, anchor, tag, end }, onError) {
      const token = {
        type: "scalar",
        offset: utilEmptyScalarPosition.emptyScalarPosition(offset, before, pos),
        indent: -1,
        source: ""
      };
      const node = composeScalar.composeScalar(ctx, token, tag, onError);
      if (anchor) {
        node.anchor = anchor.source.substring(1);
        if (node.anchor === "")
          onError(anchor, "BAD_ALIAS", "Anchor cannot be an empty string");
      }
      if (spaceBefore)
        node.spaceBefore = true;
      if (comment) {
        node.comment = comment;
        node.range[2] = end;
      }
      return node;
    }
    function composeAlias({ options }, { offset, source, end }, onError) {
      const alias = new Alias.Alias(source.substring(1));
      if (alias.source === "")
        onError(offset, "BAD_ALIAS", "Alias cannot be an empty string");
      if (alias.source.endsWith(":"))
        onError(offset + source.length - 1, "BAD_ALIAS", "Alias ending in : is ambiguous", true);
      const valueEnd = offset + source.length;
      const re = resolveEnd.resolveEnd(end, valueEnd, options.strict, onError);
      alias.range = [offset, valueEnd, re.offset];
      if (re.comment)
        alias.comment = re.comment;
      return alias;
    }
    exports.composeEmptyNode = composeEmptyNode;
    exports.composeNode = composeNode;
  }
});

// node_modules/yaml/dist/compose/compose-doc.js
var require_compose_doc = __commonJS({
  "node_modules/yaml/dist/compose/compose-doc.js"(exports) {
    "use strict";
    var Document = require_Document();
    var composeNode = require_compose_node();
    var resolveEnd = require_resolve_end();
    var resolveProps = require_resolve_props();
    function composeDoc(options, directives, { offset, start, value, end }, onError) {
      const opts = Object.assign({ _directives: directives }, options);
      const doc = new Document.Document(void 0, opts);
      const ctx = {
        atKey: false,
        atRoot: true,
        directives: doc.directives,
        options: doc.options,
        schema: doc.schema
      };
      const props = resolveProps.resolveProps(start, {
        indicator: "doc-start",
        next: value ?? end?.[0],
        offset,
        onError,
        parentIndent: 0,
        startOnNewline: true
      });
      if (props.found) {
        doc.directives.docStart = true;
        if (value && (value.type === "block-map" || value.type === "block-seq") && !props.hasNewline)
          onError(props.end, "MISSING_CHAR", "Block collection cannot start on same line with directives-end marker");
      }
      doc.contents = value ? composeNode.composeNode(ctx, value, props, onError) : composeNode.composeEmptyNode(ctx, props.end, start, null, props, onError);
      const contentEnd = doc.contents.range[2];
      const re = resolveEnd.resolveEnd(end, contentEnd, false, onError);
      if (re.comment)
        doc.comment = re.comment;
      doc.range = [offset, contentEnd, re.offset];
      return doc;
    }
    exports.composeDoc = composeDoc;
  }
});

// node_modules/yaml/dist/compose/composer.js
var require_composer = __commonJS({
  "node_modules/yaml/dist/compose/composer.js"(exports) {
    "use strict";
    var node_process = __require("process");
    var directives = require_directives();
    var Document = require_Document();
    var errors = require_errors();
    var identity = require_identity();
    var composeDoc = require_compose_doc();
    var resolveEnd = require_resolve_end();
    function getErrorPos(src) {
      if (typeof src === "number")
        return [src, src + 1];
      if (Array.isArray(src))
        return src.length === 2 ? src : [src[0], src[1]];
      const { offset, source } = src;
      return [offset, offset + (typeof source === "string" ? source.length : 1)];
    }
    function parsePrelude(prelude) {
      let comment = "";
      let atComment = false;
      let afterEmptyLine = false;
      for (let i = 0; i < prelude.length; ++i) {
        const source = prelude[i];
        switch (source[0]) {
          case "#":
            comment += (comment === "" ? "" : afterEmptyLine ? "\n\n" : "\n") + (source.substring(1) || " ");
            atComment = true;
            afterEmptyLine = false;
            break;
          case "%":
            if (prelude[i + 1]?.[0] !== "#")
              i += 1;
            atComment = false;
            break;
          default:
            if (!atComment)
              afterEmptyLine = true;
            atComment = false;
        }
      }
      return { comment, afterEmptyLine };
    }
    var Composer = class {
      constructor(options = {}) {
        this.doc = null;
        this.atDirectives = false;
        this.prelude = [];
        this.errors = [];
        this.warnings = [];
        this.onError = (source, code, message, warning) => {
          const pos = getErrorPos(source);
          if (warning)
            this.warnings.push(new errors.YAMLWarning(pos, code, message));
          else
            this.errors.push(new errors.YAMLParseError(pos, code, message));
        };
        this.directives = new directives.Directives({ version: options.version || "1.2" });
        this.options = options;
      }
      decorate(doc, afterDoc) {
        const { comment, afterEmptyLine } = parsePrelude(this.prelude);
        if (comment) {
          const dc = doc.contents;
          if (afterDoc) {
            doc.comment = doc.comment ? `${doc.comment}
${comment}` : comment;
          } else if (afterEmptyLine || doc.directives.docStart || !dc) {
            doc.commentBefore = comment;
          } else if (identity.isCollection(dc) && !dc.flow && dc.items.length > 0) {
            let it = dc.items[0];
            if (identity.isPair(it))
              it = it.key;
            const cb = it.commentBefore;
            it.commentBefore = cb ? `${comment}
${cb}` : comment;
          } else {
            const cb = dc.commentBefore;
            dc.commentBefore = cb ? `${comment}
${cb}` : comment;
          }
        }
        if (afterDoc) {
          for (let i = 0; i < this.errors.length; ++i)
            doc.errors.push(this.errors[i]);
          for (let i = 0; i < this.warnings.length; ++i)
            doc.warnings.push(this.warnings[i]);
        } else {
          doc.errors = this.errors;
          doc.warnings = this.warnings;
        }
        this.prelude = [];
        this.errors = [];
        this.warnings = [];
      }
      /**
       * Current stream status information.
       *
       * Mostly useful at the end of input for an empty stream.
       */
      streamInfo() {
        return {
          comment: parsePrelude(this.prelude).comment,
          directives: this.directives,
          errors: this.errors,
          warnings: this.warnings
        };
      }
      /**
       * Compose tokens into documents.
       *
       * @param forceDoc - If the stream contains no document, still emit a final document including any comments and directives that would be applied to a subsequent document.
       * @param endOffset - Should be set if `forceDoc` is also set, to set the document range end and to indicate errors correctly.
       */
      *compose(tokens, forceDoc = false, endOffset = -1) {
        for (const token of tokens)
          yield* this.next(token);
        yield* this.end(forceDoc, endOffset);
      }
      /** Advance the composer by one CST token. */
      *next(token) {
        if (node_process.env.LOG_STREAM)
          console.dir(token, { depth: null });
        switch (token.type) {
          case "directive":
            this.directives.add(token.source, (offset, message, warning) => {
              const pos = getErrorPos(token);
              pos[0] += offset;
              this.onError(pos, "BAD_DIRECTIVE", message, warning);
            });
            this.prelude.push(token.source);
            this.atDirectives = true;
            break;
          case "document": {
            const doc = composeDoc.composeDoc(this.options, this.directives, token, this.onError);
            if (this.atDirectives && !doc.directives.docStart)
              this.onError(token, "MISSING_CHAR", "Missing directives-end/doc-start indicator line");
            this.decorate(doc, false);
            if (this.doc)
              yield this.doc;
            this.doc = doc;
            this.atDirectives = false;
            break;
          }
          case "byte-order-mark":
          case "space":
            break;
          case "comment":
          case "newline":
            this.prelude.push(token.source);
            break;
          case "error": {
            const msg = token.source ? `${token.message}: ${JSON.stringify(token.source)}` : token.message;
            const error = new errors.YAMLParseError(getErrorPos(token), "UNEXPECTED_TOKEN", msg);
            if (this.atDirectives || !this.doc)
              this.errors.push(error);
            else
              this.doc.errors.push(error);
            break;
          }
          case "doc-end": {
            if (!this.doc) {
              const msg = "Unexpected doc-end without preceding document";
              this.errors.push(new errors.YAMLParseError(getErrorPos(token), "UNEXPECTED_TOKEN", msg));
              break;
            }
            this.doc.directives.docEnd = true;
            const end = resolveEnd.resolveEnd(token.end, token.offset + token.source.length, this.doc.options.strict, this.onError);
            this.decorate(this.doc, true);
            if (end.comment) {
              const dc = this.doc.comment;
              this.doc.comment = dc ? `${dc}
${end.comment}` : end.comment;
            }
            this.doc.range[2] = end.offset;
            break;
          }
          default:
            this.errors.push(new errors.YAMLParseError(getErrorPos(token), "UNEXPECTED_TOKEN", `Unsupported token ${token.type}`));
        }
      }
      /**
       * Call at end of input to yield any remaining document.
       *
       * @param forceDoc - If the stream contains no document, still emit a final document including any comments and directives that would be applied to a subsequent document.
       * @param endOffset - Should be set if `forceDoc` is also set, to set the document range end and to indicate errors correctly.
       */
      *end(forceDoc = false, endOffset = -1) {
        if (this.doc) {
          this.decorate(this.doc, true);
          yield this.doc;
          this.doc = null;
        } else if (forceDoc) {
          const opts = Object.assign({ _directives: this.directives }, this.options);
          const doc = new Document.Document(void 0, opts);
          if (this.atDirectives)
            this.onError(endOffset, "MISSING_CHAR", "Missing directives-end indicator line");
          doc.range = [0, endOffset, endOffset];
          this.decorate(doc, false);
          yield doc;
        }
      }
    };
    exports.Composer = Composer;
  }
});

// node_modules/yaml/dist/parse/cst-scalar.js
var require_cst_scalar = __commonJS({
  "node_modules/yaml/dist/parse/cst-scalar.js"(exports) {
    "use strict";
    var resolveBlockScalar = require_resolve_block_scalar();
    var resolveFlowScalar = require_resolve_flow_scalar();
    var errors = require_errors();
    var stringifyString = require_stringifyString();
    function resolveAsScalar(token, strict = true, onError) {
      if (token) {
        const _onError = (pos, code, message) => {
          const offset = typeof pos === "number" ? pos : Array.isArray(pos) ? pos[0] : pos.offset;
          if (onError)
            onError(offset, code, message);
          else
            throw new errors.YAMLParseError([offset, offset + 1], code, message);
        };
        switch (token.type) {
          case "scalar":
          case "single-quoted-scalar":
          case "double-quoted-scalar":
            return resolveFlowScalar.resolveFlowScalar(token, strict, _onError);
          case "block-scalar":
            return resolveBlockScalar.resolveBlockScalar({ options: { strict } }, token, _onError);
        }
      }
      return null;
    }
    function createScalarToken(value, context) {
      const { implicitKey = false, indent, inFlow = false, offset = -1, type = "PLAIN" } = context;
      const source = stringifyString.stringifyString({ type, value }, {
        implicitKey,
        indent: indent > 0 ? " ".repeat(indent) : "",
        inFlow,
        options: { blockQuote: true, lineWidth: -1 }
      });
      const end = context.end ?? [
        { type: "newline", offset: -1, indent, source: "\n" }
      ];
      switch (source[0]) {
        case "|":
        case ">": {
          const he = source.indexOf("\n");
          const head = source.substring(0, he);
          const body = source.substring(he + 1) + "\n";
          const props = [
            { type: "block-scalar-header", offset, indent, source: head }
          ];
          if (!addEndtoBlockProps(props, end))
            props.push({ type: "newline", offset: -1, indent, source: "\n" });
          return { type: "block-scalar", offset, indent, props, source: body };
        }
        case '"':
          return { type: "double-quoted-scalar", offset, indent, source, end };
        case "'":
          return { type: "single-quoted-scalar", offset, indent, source, end };
        default:
          return { type: "scalar", offset, indent, source, end };
      }
    }
    function setScalarValue(token, value, context = {}) {
      let { afterKey = false, implicitKey = false, inFlow = false, type } = context;
      let indent = "indent" in token ? token.indent : null;
      if (afterKey && typeof indent === "number")
        indent += 2;
      if (!type)
        switch (token.type) {
          case "single-quoted-scalar":
            type = "QUOTE_SINGLE";
            break;
          case "double-quoted-scalar":
            type = "QUOTE_DOUBLE";
            break;
          case "block-scalar": {
            const header = token.props[0];
            if (header.type !== "block-scalar-header")
              throw new Error("Invalid block scalar header");
            type = header.source[0] === ">" ? "BLOCK_FOLDED" : "BLOCK_LITERAL";
            break;
          }
          default:
            type = "PLAIN";
        }
      const source = stringifyString.stringifyString({ type, value }, {
        implicitKey: implicitKey || indent === null,
        indent: indent !== null && indent > 0 ? " ".repeat(indent) : "",
        inFlow,
        options: { blockQuote: true, lineWidth: -1 }
      });
      switch (source[0]) {
        case "|":
        case ">":
          setBlockScalarValue(token, source);
          break;
        case '"':
          setFlowScalarValue(token, source, "double-quoted-scalar");
          break;
        case "'":
          setFlowScalarValue(token, source, "single-quoted-scalar");
          break;
        default:
          setFlowScalarValue(token, source, "scalar");
      }
    }
    function setBlockScalarValue(token, source) {
      const he = source.indexOf("\n");
      const head = source.substring(0, he);
      const body = source.substring(he + 1) + "\n";
      if (token.type === "block-scalar") {
        const header = token.props[0];
        if (header.type !== "block-scalar-header")
          throw new Error("Invalid block scalar header");
        header.source = head;
        token.source = body;
      } else {
        const { offset } = token;
        const indent = "indent" in token ? token.indent : -1;
        const props = [
          { type: "block-scalar-header", offset, indent, source: head }
        ];
        if (!addEndtoBlockProps(props, "end" in token ? token.end : void 0))
          props.push({ type: "newline", offset: -1, indent, source: "\n" });
        for (const key2 of Object.keys(token))
          if (key2 !== "type" && key2 !== "offset")
            delete token[key2];
        Object.assign(token, { type: "block-scalar", indent, props, source: body });
      }
    }
    function addEndtoBlockProps(props, end) {
      if (end)
        for (const st of end)
          switch (st.type) {
            case "space":
            case "comment":
              props.push(st);
              break;
            case "newline":
              props.push(st);
              return true;
          }
      return false;
    }
    function setFlowScalarValue(token, source, type) {
      switch (token.type) {
        case "scalar":
        case "double-quoted-scalar":
        case "single-quoted-scalar":
          token.type = type;
          token.source = source;
          break;
        case "block-scalar": {
          const end = token.props.slice(1);
          let oa = source.length;
          if (token.props[0].type === "block-scalar-header")
            oa -= token.props[0].source.length;
          for (const tok of end)
            tok.offset += oa;
          delete token.props;
          Object.assign(token, { type, source, end });
          break;
        }
        case "block-map":
        case "block-seq": {
          const offset = token.offset + source.length;
          const nl = { type: "newline", offset, indent: token.indent, source: "\n" };
          delete token.items;
          Object.assign(token, { type, source, end: [nl] });
          break;
        }
        default: {
          const indent = "indent" in token ? token.indent : -1;
          const end = "end" in token && Array.isArray(token.end) ? token.end.filter((st) => st.type === "space" || st.type === "comment" || st.type === "newline") : [];
          for (const key2 of Object.keys(token))
            if (key2 !== "type" && key2 !== "offset")
              delete token[key2];
          Object.assign(token, { type, indent, source, end });
        }
      }
    }
    exports.createScalarToken = createScalarToken;
    exports.resolveAsScalar = resolveAsScalar;
    exports.setScalarValue = setScalarValue;
  }
});

// node_modules/yaml/dist/parse/cst-stringify.js
var require_cst_stringify = __commonJS({
  "node_modules/yaml/dist/parse/cst-stringify.js"(exports) {
    "use strict";
    var stringify = (cst) => "type" in cst ? stringifyToken(cst) : stringifyItem(cst);
    function stringifyToken(token) {
      switch (token.type) {
        case "block-scalar": {
          let res = "";
          for (const tok of token.props)
            res += stringifyToken(tok);
          return res + token.source;
        }
        case "block-map":
        case "block-seq": {
          let res = "";
          for (const item of token.items)
            res += stringifyItem(item);
          return res;
        }
        case "flow-collection": {
          let res = token.start.source;
          for (const item of token.items)
            res += stringifyItem(item);
          for (const st of token.end)
            res += st.source;
          return res;
        }
        case "document": {
          let res = stringifyItem(token);
          if (token.end)
            for (const st of token.end)
              res += st.source;
          return res;
        }
        default: {
          let res = token.source;
          if ("end" in token && token.end)
            for (const st of token.end)
              res += st.source;
          return res;
        }
      }
    }
    function stringifyItem({ start, key: key2, sep: sep2, value }) {
      let res = "";
      for (const st of start)
        res += st.source;
      if (key2)
        res += stringifyToken(key2);
      if (sep2)
        for (const st of sep2)
          res += st.source;
      if (value)
        res += stringifyToken(value);
      return res;
    }
    exports.stringify = stringify;
  }
});

// node_modules/yaml/dist/parse/cst-visit.js
var require_cst_visit = __commonJS({
  "node_modules/yaml/dist/parse/cst-visit.js"(exports) {
    "use strict";
    var BREAK = /* @__PURE__ */ Symbol("break visit");
    var SKIP = /* @__PURE__ */ Symbol("skip children");
    var REMOVE2 = /* @__PURE__ */ Symbol("remove item");
    function visit2(cst, visitor) {
      if ("type" in cst && cst.type === "document")
        cst = { start: cst.start, value: cst.value };
      _visit(Object.freeze([]), cst, visitor);
    }
    visit2.BREAK = BREAK;
    visit2.SKIP = SKIP;
    visit2.REMOVE = REMOVE2;
    visit2.itemAtPath = (cst, path) => {
      let item = cst;
      for (const [field, index] of path) {
        const tok = item?.[field];
        if (tok && "items" in tok) {
          item = tok.items[index];
        } else
          return void 0;
      }
      return item;
    };
    visit2.parentCollection = (cst, path) => {
      const parent = visit2.itemAtPath(cst, path.slice(0, -1));
      const field = path[path.length - 1][0];
      const coll = parent?.[field];
      if (coll && "items" in coll)
        return coll;
      throw new Error("Parent collection not found");
    };
    function _visit(path, item, visitor) {
      let ctrl = visitor(item, path);
      if (typeof ctrl === "symbol")
        return ctrl;
      for (const field of ["key", "value"]) {
        const token = item[field];
        if (token && "items" in token) {
          for (let i = 0; i < token.items.length; ++i) {
            const ci = _visit(Object.freeze(path.concat([[field, i]])), token.items[i], visitor);
            if (typeof ci === "number")
              i = ci - 1;
            else if (ci === BREAK)
              return BREAK;
            else if (ci === REMOVE2) {
              token.items.splice(i, 1);
              i -= 1;
            }
          }
          if (typeof ctrl === "function" && field === "key")
            ctrl = ctrl(item, path);
        }
      }
      return typeof ctrl === "function" ? ctrl(item, path) : ctrl;
    }
    exports.visit = visit2;
  }
});

// node_modules/yaml/dist/parse/cst.js
var require_cst = __commonJS({
  "node_modules/yaml/dist/parse/cst.js"(exports) {
    "use strict";
    var cstScalar = require_cst_scalar();
    var cstStringify = require_cst_stringify();
    var cstVisit = require_cst_visit();
    var BOM = "\uFEFF";
    var DOCUMENT = "";
    var FLOW_END = "";
    var SCALAR = "";
    var isCollection = (token) => !!token && "items" in token;
    var isScalar3 = (token) => !!token && (token.type === "scalar" || token.type === "single-quoted-scalar" || token.type === "double-quoted-scalar" || token.type === "block-scalar");
    function prettyToken(token) {
      switch (token) {
        case BOM:
          return "<BOM>";
        case DOCUMENT:
          return "<DOC>";
        case FLOW_END:
          return "<FLOW_END>";
        case SCALAR:
          return "<SCALAR>";
        default:
          return JSON.stringify(token);
      }
    }
    function tokenType(source) {
      switch (source) {
        case BOM:
          return "byte-order-mark";
        case DOCUMENT:
          return "doc-mode";
        case FLOW_END:
          return "flow-error-end";
        case SCALAR:
          return "scalar";
        case "---":
          return "doc-start";
        case "...":
          return "doc-end";
        case "":
        case "\n":
        case "\r\n":
          return "newline";
        case "-":
          return "seq-item-ind";
        case "?":
          return "explicit-key-ind";
        case ":":
          return "map-value-ind";
        case "{":
          return "flow-map-start";
        case "}":
          return "flow-map-end";
        case "[":
          return "flow-seq-start";
        case "]":
          return "flow-seq-end";
        case ",":
          return "comma";
      }
      switch (source[0]) {
        case " ":
        case "	":
          return "space";
        case "#":
          return "comment";
        case "%":
          return "directive-line";
        case "*":
          return "alias";
        case "&":
          return "anchor";
        case "!":
          return "tag";
        case "'":
          return "single-quoted-scalar";
        case '"':
          return "double-quoted-scalar";
        case "|":
        case ">":
          return "block-scalar-header";
      }
      return null;
    }
    exports.createScalarToken = cstScalar.createScalarToken;
    exports.resolveAsScalar = cstScalar.resolveAsScalar;
    exports.setScalarValue = cstScalar.setScalarValue;
    exports.stringify = cstStringify.stringify;
    exports.visit = cstVisit.visit;
    exports.BOM = BOM;
    exports.DOCUMENT = DOCUMENT;
    exports.FLOW_END = FLOW_END;
    exports.SCALAR = SCALAR;
    exports.isCollection = isCollection;
    exports.isScalar = isScalar3;
    exports.prettyToken = prettyToken;
    exports.tokenType = tokenType;
  }
});

// node_modules/yaml/dist/parse/lexer.js
var require_lexer = __commonJS({
  "node_modules/yaml/dist/parse/lexer.js"(exports) {
    "use strict";
    var cst = require_cst();
    function isEmpty(ch) {
      switch (ch) {
        case void 0:
        case " ":
        case "\n":
        case "\r":
        case "	":
          return true;
        default:
          return false;
      }
    }
    var hexDigits = new Set("0123456789ABCDEFabcdef");
    var tagChars = new Set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-#;/?:@&=+$_.!~*'()");
    var flowIndicatorChars = new Set(",[]{}");
    var invalidAnchorChars = new Set(" ,[]{}\n\r	");
    var isNotAnchorChar = (ch) => !ch || invalidAnchorChars.has(ch);
    var Lexer2 = class {
      constructor() {
        this.atEnd = false;
        this.blockScalarIndent = -1;
        this.blockScalarKeep = false;
        this.buffer = "";
        this.flowKey = false;
        this.flowLevel = 0;
        this.indentNext = 0;
        this.indentValue = 0;
        this.lineEndPos = null;
        this.next = null;
        this.pos = 0;
      }
      /**
       * Generate YAML tokens from the `source` string. If `incomplete`,
       * a part of the last line may be left as a buffer for the next call.
       *
       * @returns A generator of lexical tokens
       */
      *lex(source, incomplete = false) {
        if (source) {
          if (typeof source !== "string")
            throw TypeError("source is not a string");
          this.buffer = this.buffer ? this.buffer + source : source;
          this.lineEndPos = null;
        }
        this.atEnd = !incomplete;
        let next = this.next ?? "stream";
        while (next && (incomplete || this.hasChars(1)))
          next = yield* this.parseNext(next);
      }
      atLineEnd() {
        let i = this.pos;
        let ch = this.buffer[i];
        while (ch === " " || ch === "	")
          ch = this.buffer[++i];
        if (!ch || ch === "#" || ch === "\n")
          return true;
        if (ch === "\r")
          return this.buffer[i + 1] === "\n";
        return false;
      }
      charAt(n) {
        return this.buffer[this.pos + n];
      }
      continueScalar(offset) {
        let ch = this.buffer[offset];
        if (this.indentNext > 0) {
          let indent = 0;
          while (ch === " ")
            ch = this.buffer[++indent + offset];
          if (ch === "\r") {
            const next = this.buffer[indent + offset + 1];
            if (next === "\n" || !next && !this.atEnd)
              return offset + indent + 1;
          }
          return ch === "\n" || indent >= this.indentNext || !ch && !this.atEnd ? offset + indent : -1;
        }
        if (ch === "-" || ch === ".") {
          const dt = this.buffer.substr(offset, 3);
          if ((dt === "---" || dt === "...") && isEmpty(this.buffer[offset + 3]))
            return -1;
        }
        return offset;
      }
      getLine() {
        let end = this.lineEndPos;
        if (typeof end !== "number" || end !== -1 && end < this.pos) {
          end = this.buffer.indexOf("\n", this.pos);
          this.lineEndPos = end;
        }
        if (end === -1)
          return this.atEnd ? this.buffer.substring(this.pos) : null;
        if (this.buffer[end - 1] === "\r")
          end -= 1;
        return this.buffer.substring(this.pos, end);
      }
      hasChars(n) {
        return this.pos + n <= this.buffer.length;
      }
      setNext(state) {
        this.buffer = this.buffer.substring(this.pos);
        this.pos = 0;
        this.lineEndPos = null;
        this.next = state;
        return null;
      }
      peek(n) {
        return this.buffer.substr(this.pos, n);
      }
      *parseNext(next) {
        switch (next) {
          case "stream":
            return yield* this.parseStream();
          case "line-start":
            return yield* this.parseLineStart();
          case "block-start":
            return yield* this.parseBlockStart();
          case "doc":
            return yield* this.parseDocument();
          case "flow":
            return yield* this.parseFlowCollection();
          case "quoted-scalar":
            return yield* this.parseQuotedScalar();
          case "block-scalar":
            return yield* this.parseBlockScalar();
          case "plain-scalar":
            return yield* this.parsePlainScalar();
        }
      }
      *parseStream() {
        let line = this.getLine();
        if (line === null)
          return this.setNext("stream");
        if (line[0] === cst.BOM) {
          yield* this.pushCount(1);
          line = line.substring(1);
        }
        if (line[0] === "%") {
          let dirEnd = line.length;
          let cs = line.indexOf("#");
          while (cs !== -1) {
            const ch = line[cs - 1];
            if (ch === " " || ch === "	") {
              dirEnd = cs - 1;
              break;
            } else {
              cs = line.indexOf("#", cs + 1);
            }
          }
          while (true) {
            const ch = line[dirEnd - 1];
            if (ch === " " || ch === "	")
              dirEnd -= 1;
            else
              break;
          }
          const n = (yield* this.pushCount(dirEnd)) + (yield* this.pushSpaces(true));
          yield* this.pushCount(line.length - n);
          this.pushNewline();
          return "stream";
        }
        if (this.atLineEnd()) {
          const sp = yield* this.pushSpaces(true);
          yield* this.pushCount(line.length - sp);
          yield* this.pushNewline();
          return "stream";
        }
        yield cst.DOCUMENT;
        return yield* this.parseLineStart();
      }
      *parseLineStart() {
        const ch = this.charAt(0);
        if (!ch && !this.atEnd)
          return this.setNext("line-start");
        if (ch === "-" || ch === ".") {
          if (!this.atEnd && !this.hasChars(4))
            return this.setNext("line-start");
          const s = this.peek(3);
          if ((s === "---" || s === "...") && isEmpty(this.charAt(3))) {
            yield* this.pushCount(3);
            this.indentValue = 0;
            this.indentNext = 0;
            return s === "---" ? "doc" : "stream";
          }
        }
        this.indentValue = yield* this.pushSpaces(false);
        if (this.indentNext > this.indentValue && !isEmpty(this.charAt(1)))
          this.indentNext = this.indentValue;
        return yield* this.parseBlockStart();
      }
      *parseBlockStart() {
        const [ch0, ch1] = this.peek(2);
        if (!ch1 && !this.atEnd)
          return this.setNext("block-start");
        if ((ch0 === "-" || ch0 === "?" || ch0 === ":") && isEmpty(ch1)) {
          const n = (yield* this.pushCount(1)) + (yield* this.pushSpaces(true));
          this.indentNext = this.indentValue + 1;
          this.indentValue += n;
          return "block-start";
        }
        return "doc";
      }
      *parseDocument() {
        yield* this.pushSpaces(true);
        const line = this.getLine();
        if (line === null)
          return this.setNext("doc");
        let n = yield* this.pushIndicators();
        switch (line[n]) {
          case "#":
            yield* this.pushCount(line.length - n);
          // fallthrough
          case void 0:
            yield* this.pushNewline();
            return yield* this.parseLineStart();
          case "{":
          case "[":
            yield* this.pushCount(1);
            this.flowKey = false;
            this.flowLevel = 1;
            return "flow";
          case "}":
          case "]":
            yield* this.pushCount(1);
            return "doc";
          case "*":
            yield* this.pushUntil(isNotAnchorChar);
            return "doc";
          case '"':
          case "'":
            return yield* this.parseQuotedScalar();
          case "|":
          case ">":
            n += yield* this.parseBlockScalarHeader();
            n += yield* this.pushSpaces(true);
            yield* this.pushCount(line.length - n);
            yield* this.pushNewline();
            return yield* this.parseBlockScalar();
          default:
            return yield* this.parsePlainScalar();
        }
      }
      *parseFlowCollection() {
        let nl, sp;
        let indent = -1;
        do {
          nl = yield* this.pushNewline();
          if (nl > 0) {
            sp = yield* this.pushSpaces(false);
            this.indentValue = indent = sp;
          } else {
            sp = 0;
          }
          sp += yield* this.pushSpaces(true);
        } while (nl + sp > 0);
        const line = this.getLine();
        if (line === null)
          return this.setNext("flow");
        if (indent !== -1 && indent < this.indentNext && line[0] !== "#" || indent === 0 && (line.startsWith("---") || line.startsWith("...")) && isEmpty(line[3])) {
          const atFlowEndMarker = indent === this.indentNext - 1 && this.flowLevel === 1 && (line[0] === "]" || line[0] === "}");
          if (!atFlowEndMarker) {
            this.flowLevel = 0;
            yield cst.FLOW_END;
            return yield* this.parseLineStart();
          }
        }
        let n = 0;
        while (line[n] === ",") {
          n += yield* this.pushCount(1);
          n += yield* this.pushSpaces(true);
          this.flowKey = false;
        }
        n += yield* this.pushIndicators();
        switch (line[n]) {
          case void 0:
            return "flow";
          case "#":
            yield* this.pushCount(line.length - n);
            return "flow";
          case "{":
          case "[":
            yield* this.pushCount(1);
            this.flowKey = false;
            this.flowLevel += 1;
            return "flow";
          case "}":
          case "]":
            yield* this.pushCount(1);
            this.flowKey = true;
            this.flowLevel -= 1;
            return this.flowLevel ? "flow" : "doc";
          case "*":
            yield* this.pushUntil(isNotAnchorChar);
            return "flow";
          case '"':
          case "'":
            this.flowKey = true;
            return yield* this.parseQuotedScalar();
          case ":": {
            const next = this.charAt(1);
            if (this.flowKey || isEmpty(next) || next === ",") {
              this.flowKey = false;
              yield* this.pushCount(1);
              yield* this.pushSpaces(true);
              return "flow";
            }
          }
          // fallthrough
          default:
            this.flowKey = false;
            return yield* this.parsePlainScalar();
        }
      }
      *parseQuotedScalar() {
        const quote = this.charAt(0);
        let end = this.buffer.indexOf(quote, this.pos + 1);
        if (quote === "'") {
          while (end !== -1 && this.buffer[end + 1] === "'")
            end = this.buffer.indexOf("'", end + 2);
        } else {
          while (end !== -1) {
            let n = 0;
            while (this.buffer[end - 1 - n] === "\\")
              n += 1;
            if (n % 2 === 0)
              break;
            end = this.buffer.indexOf('"', end + 1);
          }
        }
        const qb = this.buffer.substring(0, end);
        let nl = qb.indexOf("\n", this.pos);
        if (nl !== -1) {
          while (nl !== -1) {
            const cs = this.continueScalar(nl + 1);
            if (cs === -1)
              break;
            nl = qb.indexOf("\n", cs);
          }
          if (nl !== -1) {
            end = nl - (qb[nl - 1] === "\r" ? 2 : 1);
          }
        }
        if (end === -1) {
          if (!this.atEnd)
            return this.setNext("quoted-scalar");
          end = this.buffer.length;
        }
        yield* this.pushToIndex(end + 1, false);
        return this.flowLevel ? "flow" : "doc";
      }
      *parseBlockScalarHeader() {
        this.blockScalarIndent = -1;
        this.blockScalarKeep = false;
        let i = this.pos;
        while (true) {
          const ch = this.buffer[++i];
          if (ch === "+")
            this.blockScalarKeep = true;
          else if (ch > "0" && ch <= "9")
            this.blockScalarIndent = Number(ch) - 1;
          else if (ch !== "-")
            break;
        }
        return yield* this.pushUntil((ch) => isEmpty(ch) || ch === "#");
      }
      *parseBlockScalar() {
        let nl = this.pos - 1;
        let indent = 0;
        let ch;
        loop: for (let i2 = this.pos; ch = this.buffer[i2]; ++i2) {
          switch (ch) {
            case " ":
              indent += 1;
              break;
            case "\n":
              nl = i2;
              indent = 0;
              break;
            case "\r": {
              const next = this.buffer[i2 + 1];
              if (!next && !this.atEnd)
                return this.setNext("block-scalar");
              if (next === "\n")
                break;
            }
            // fallthrough
            default:
              break loop;
          }
        }
        if (!ch && !this.atEnd)
          return this.setNext("block-scalar");
        if (indent >= this.indentNext) {
          if (this.blockScalarIndent === -1)
            this.indentNext = indent;
          else {
            this.indentNext = this.blockScalarIndent + (this.indentNext === 0 ? 1 : this.indentNext);
          }
          do {
            const cs = this.continueScalar(nl + 1);
            if (cs === -1)
              break;
            nl = this.buffer.indexOf("\n", cs);
          } while (nl !== -1);
          if (nl === -1) {
            if (!this.atEnd)
              return this.setNext("block-scalar");
            nl = this.buffer.length;
          }
        }
        let i = nl + 1;
        ch = this.buffer[i];
        while (ch === " ")
          ch = this.buffer[++i];
        if (ch === "	") {
          while (ch === "	" || ch === " " || ch === "\r" || ch === "\n")
            ch = this.buffer[++i];
          nl = i - 1;
        } else if (!this.blockScalarKeep) {
          do {
            let i2 = nl - 1;
            let ch2 = this.buffer[i2];
            if (ch2 === "\r")
              ch2 = this.buffer[--i2];
            const lastChar = i2;
            while (ch2 === " ")
              ch2 = this.buffer[--i2];
            if (ch2 === "\n" && i2 >= this.pos && i2 + 1 + indent > lastChar)
              nl = i2;
            else
              break;
          } while (true);
        }
        yield cst.SCALAR;
        yield* this.pushToIndex(nl + 1, true);
        return yield* this.parseLineStart();
      }
      *parsePlainScalar() {
        const inFlow = this.flowLevel > 0;
        let end = this.pos - 1;
        let i = this.pos - 1;
        let ch;
        while (ch = this.buffer[++i]) {
          if (ch === ":") {
            const next = this.buffer[i + 1];
            if (isEmpty(next) || inFlow && flowIndicatorChars.has(next))
              break;
            end = i;
          } else if (isEmpty(ch)) {
            let next = this.buffer[i + 1];
            if (ch === "\r") {
              if (next === "\n") {
                i += 1;
                ch = "\n";
                next = this.buffer[i + 1];
              } else
                end = i;
            }
            if (next === "#" || inFlow && flowIndicatorChars.has(next))
              break;
            if (ch === "\n") {
              const cs = this.continueScalar(i + 1);
              if (cs === -1)
                break;
              i = Math.max(i, cs - 2);
            }
          } else {
            if (inFlow && flowIndicatorChars.has(ch))
              break;
            end = i;
          }
        }
        if (!ch && !this.atEnd)
          return this.setNext("plain-scalar");
        yield cst.SCALAR;
        yield* this.pushToIndex(end + 1, true);
        return inFlow ? "flow" : "doc";
      }
      *pushCount(n) {
        if (n > 0) {
          yield this.buffer.substr(this.pos, n);
          this.pos += n;
          return n;
        }
        return 0;
      }
      *pushToIndex(i, allowEmpty) {
        const s = this.buffer.slice(this.pos, i);
        if (s) {
          yield s;
          this.pos += s.length;
          return s.length;
        } else if (allowEmpty)
          yield "";
        return 0;
      }
      *pushIndicators() {
        let n = 0;
        loop: while (true) {
          switch (this.charAt(0)) {
            case "!":
              n += yield* this.pushTag();
              n += yield* this.pushSpaces(true);
              continue loop;
            case "&":
              n += yield* this.pushUntil(isNotAnchorChar);
              n += yield* this.pushSpaces(true);
              continue loop;
            case "-":
            // this is an error
            case "?":
            // this is an error outside flow collections
            case ":": {
              const inFlow = this.flowLevel > 0;
              const ch1 = this.charAt(1);
              if (isEmpty(ch1) || inFlow && flowIndicatorChars.has(ch1)) {
                if (!inFlow)
                  this.indentNext = this.indentValue + 1;
                else if (this.flowKey)
                  this.flowKey = false;
                n += yield* this.pushCount(1);
                n += yield* this.pushSpaces(true);
                continue loop;
              }
            }
          }
          break loop;
        }
        return n;
      }
      *pushTag() {
        if (this.charAt(1) === "<") {
          let i = this.pos + 2;
          let ch = this.buffer[i];
          while (!isEmpty(ch) && ch !== ">")
            ch = this.buffer[++i];
          return yield* this.pushToIndex(ch === ">" ? i + 1 : i, false);
        } else {
          let i = this.pos + 1;
          let ch = this.buffer[i];
          while (ch) {
            if (tagChars.has(ch))
              ch = this.buffer[++i];
            else if (ch === "%" && hexDigits.has(this.buffer[i + 1]) && hexDigits.has(this.buffer[i + 2])) {
              ch = this.buffer[i += 3];
            } else
              break;
          }
          return yield* this.pushToIndex(i, false);
        }
      }
      *pushNewline() {
        const ch = this.buffer[this.pos];
        if (ch === "\n")
          return yield* this.pushCount(1);
        else if (ch === "\r" && this.charAt(1) === "\n")
          return yield* this.pushCount(2);
        else
          return 0;
      }
      *pushSpaces(allowTabs) {
        let i = this.pos - 1;
        let ch;
        do {
          ch = this.buffer[++i];
        } while (ch === " " || allowTabs && ch === "	");
        const n = i - this.pos;
        if (n > 0) {
          yield this.buffer.substr(this.pos, n);
          this.pos = i;
        }
        return n;
      }
      *pushUntil(test) {
        let i = this.pos;
        let ch = this.buffer[i];
        while (!test(ch))
          ch = this.buffer[++i];
        return yield* this.pushToIndex(i, false);
      }
    };
    exports.Lexer = Lexer2;
  }
});

// node_modules/yaml/dist/parse/line-counter.js
var require_line_counter = __commonJS({
  "node_modules/yaml/dist/parse/line-counter.js"(exports) {
    "use strict";
    var LineCounter2 = class {
      constructor() {
        this.lineStarts = [];
        this.addNewLine = (offset) => this.lineStarts.push(offset);
        this.linePos = (offset) => {
          let low = 0;
          let high = this.lineStarts.length;
          while (low < high) {
            const mid = low + high >> 1;
            if (this.lineStarts[mid] < offset)
              low = mid + 1;
            else
              high = mid;
          }
          if (this.lineStarts[low] === offset)
            return { line: low + 1, col: 1 };
          if (low === 0)
            return { line: 0, col: offset };
          const start = this.lineStarts[low - 1];
          return { line: low, col: offset - start + 1 };
        };
      }
    };
    exports.LineCounter = LineCounter2;
  }
});

// node_modules/yaml/dist/parse/parser.js
var require_parser = __commonJS({
  "node_modules/yaml/dist/parse/parser.js"(exports) {
    "use strict";
    var node_process = __require("process");
    var cst = require_cst();
    var lexer = require_lexer();
    function includesToken(list, type) {
      for (let i = 0; i < list.length; ++i)
        if (list[i].type === type)
          return true;
      return false;
    }
    function findNonEmptyIndex(list) {
      for (let i = 0; i < list.length; ++i) {
        switch (list[i].type) {
          case "space":
          case "comment":
          case "newline":
            break;
          default:
            return i;
        }
      }
      return -1;
    }
    function isFlowToken(token) {
      switch (token?.type) {
        case "alias":
        case "scalar":
        case "single-quoted-scalar":
        case "double-quoted-scalar":
        case "flow-collection":
          return true;
        default:
          return false;
      }
    }
    function getPrevProps(parent) {
      switch (parent.type) {
        case "document":
          return parent.start;
        case "block-map": {
          const it = parent.items[parent.items.length - 1];
          return it.sep ?? it.start;
        }
        case "block-seq":
          return parent.items[parent.items.length - 1].start;
        /* istanbul ignore next should not happen */
        default:
          return [];
      }
    }
    function getFirstKeyStartProps(prev) {
      if (prev.length === 0)
        return [];
      let i = prev.length;
      loop: while (--i >= 0) {
        switch (prev[i].type) {
          case "doc-start":
          case "explicit-key-ind":
          case "map-value-ind":
          case "seq-item-ind":
          case "newline":
            break loop;
        }
      }
      while (prev[++i]?.type === "space") {
      }
      return prev.splice(i, prev.length);
    }
    function arrayPushArray(target2, source) {
      if (source.length < 1e5)
        Array.prototype.push.apply(target2, source);
      else
        for (let i = 0; i < source.length; ++i)
          target2.push(source[i]);
    }
    function fixFlowSeqItems(fc) {
      if (fc.start.type === "flow-seq-start") {
        for (const it of fc.items) {
          if (it.sep && !it.value && !includesToken(it.start, "explicit-key-ind") && !includesToken(it.sep, "map-value-ind")) {
            if (it.key)
              it.value = it.key;
            delete it.key;
            if (isFlowToken(it.value)) {
              if (it.value.end)
                arrayPushArray(it.value.end, it.sep);
              else
                it.value.end = it.sep;
            } else
              arrayPushArray(it.start, it.sep);
            delete it.sep;
          }
        }
      }
    }
    var Parser2 = class {
      /**
       * @param onNewLine - If defined, called separately with the start position of
       *   each new line (in `parse()`, including the start of input).
       */
      constructor(onNewLine) {
        this.atNewLine = true;
        this.atScalar = false;
        this.indent = 0;
        this.offset = 0;
        this.onKeyLine = false;
        this.stack = [];
        this.source = "";
        this.type = "";
        this.lexer = new lexer.Lexer();
        this.onNewLine = onNewLine;
      }
      /**
       * Parse `source` as a YAML stream.
       * If `incomplete`, a part of the last line may be left as a buffer for the next call.
       *
       * Errors are not thrown, but yielded as `{ type: 'error', message }` tokens.
       *
       * @returns A generator of tokens representing each directive, document, and other structure.
       */
      *parse(source, incomplete = false) {
        if (this.onNewLine && this.offset === 0)
          this.onNewLine(0);
        for (const lexeme of this.lexer.lex(source, incomplete))
          yield* this.next(lexeme);
        if (!incomplete)
          yield* this.end();
      }
      /**
       * Advance the parser by the `source` of one lexical token.
       */
      *next(source) {
        this.source = source;
        if (node_process.env.LOG_TOKENS)
          console.log("|", cst.prettyToken(source));
        if (this.atScalar) {
          this.atScalar = false;
          yield* this.step();
          this.offset += source.length;
          return;
        }
        const type = cst.tokenType(source);
        if (!type) {
          const message = `Not a YAML token: ${source}`;
          yield* this.pop({ type: "error", offset: this.offset, message, source });
          this.offset += source.length;
        } else if (type === "scalar") {
          this.atNewLine = false;
          this.atScalar = true;
          this.type = "scalar";
        } else {
          this.type = type;
          yield* this.step();
          switch (type) {
            case "newline":
              this.atNewLine = true;
              this.indent = 0;
              if (this.onNewLine)
                this.onNewLine(this.offset + source.length);
              break;
            case "space":
              if (this.atNewLine && source[0] === " ")
                this.indent += source.length;
              break;
            case "explicit-key-ind":
            case "map-value-ind":
            case "seq-item-ind":
              if (this.atNewLine)
                this.indent += source.length;
              break;
            case "doc-mode":
            case "flow-error-end":
              return;
            default:
              this.atNewLine = false;
          }
          this.offset += source.length;
        }
      }
      /** Call at end of input to push out any remaining constructions */
      *end() {
        while (this.stack.length > 0)
          yield* this.pop();
      }
      get sourceToken() {
        const st = {
          type: this.type,
          offset: this.offset,
          indent: this.indent,
          source: this.source
        };
        return st;
      }
      *step() {
        const top = this.peek(1);
        if (this.type === "doc-end" && top?.type !== "doc-end") {
          while (this.stack.length > 0)
            yield* this.pop();
          this.stack.push({
            type: "doc-end",
            offset: this.offset,
            source: this.source
          });
          return;
        }
        if (!top)
          return yield* this.stream();
        switch (top.type) {
          case "document":
            return yield* this.document(top);
          case "alias":
          case "scalar":
          case "single-quoted-scalar":
          case "double-quoted-scalar":
            return yield* this.scalar(top);
          case "block-scalar":
            return yield* this.blockScalar(top);
          case "block-map":
            return yield* this.blockMap(top);
          case "block-seq":
            return yield* this.blockSequence(top);
          case "flow-collection":
            return yield* this.flowCollection(top);
          case "doc-end":
            return yield* this.documentEnd(top);
        }
        yield* this.pop();
      }
      peek(n) {
        return this.stack[this.stack.length - n];
      }
      *pop(error) {
        const token = error ?? this.stack.pop();
        if (!token) {
          const message = "Tried to pop an empty stack";
          yield { type: "error", offset: this.offset, source: "", message };
        } else if (this.stack.length === 0) {
          yield token;
        } else {
          const top = this.peek(1);
          if (token.type === "block-scalar") {
            token.indent = "indent" in top ? top.indent : 0;
          } else if (token.type === "flow-collection" && top.type === "document") {
            token.indent = 0;
          }
          if (token.type === "flow-collection")
            fixFlowSeqItems(token);
          switch (top.type) {
            case "document":
              top.value = token;
              break;
            case "block-scalar":
              top.props.push(token);
              break;
            case "block-map": {
              const it = top.items[top.items.length - 1];
              if (it.value) {
                top.items.push({ start: [], key: token, sep: [] });
                this.onKeyLine = true;
                return;
              } else if (it.sep) {
                it.value = token;
              } else {
                Object.assign(it, { key: token, sep: [] });
                this.onKeyLine = !it.explicitKey;
                return;
              }
              break;
            }
            case "block-seq": {
              const it = top.items[top.items.length - 1];
              if (it.value)
                top.items.push({ start: [], value: token });
              else
                it.value = token;
              break;
            }
            case "flow-collection": {
              const it = top.items[top.items.length - 1];
              if (!it || it.value)
                top.items.push({ start: [], key: token, sep: [] });
              else if (it.sep)
                it.value = token;
              else
                Object.assign(it, { key: token, sep: [] });
              return;
            }
            /* istanbul ignore next should not happen */
            default:
              yield* this.pop();
              yield* this.pop(token);
          }
          if ((top.type === "document" || top.type === "block-map" || top.type === "block-seq") && (token.type === "block-map" || token.type === "block-seq")) {
            const last = token.items[token.items.length - 1];
            if (last && !last.sep && !last.value && last.start.length > 0 && findNonEmptyIndex(last.start) === -1 && (token.indent === 0 || last.start.every((st) => st.type !== "comment" || st.indent < token.indent))) {
              if (top.type === "document")
                top.end = last.start;
              else
                top.items.push({ start: last.start });
              token.items.splice(-1, 1);
            }
          }
        }
      }
      *stream() {
        switch (this.type) {
          case "directive-line":
            yield { type: "directive", offset: this.offset, source: this.source };
            return;
          case "byte-order-mark":
          case "space":
          case "comment":
          case "newline":
            yield this.sourceToken;
            return;
          case "doc-mode":
          case "doc-start": {
            const doc = {
              type: "document",
              offset: this.offset,
              start: []
            };
            if (this.type === "doc-start")
              doc.start.push(this.sourceToken);
            this.stack.push(doc);
            return;
          }
        }
        yield {
          type: "error",
          offset: this.offset,
          message: `Unexpected ${this.type} token in YAML stream`,
          source: this.source
        };
      }
      *document(doc) {
        if (doc.value)
          return yield* this.lineEnd(doc);
        switch (this.type) {
          case "doc-start": {
            if (findNonEmptyIndex(doc.start) !== -1) {
              yield* this.pop();
              yield* this.step();
            } else
              doc.start.push(this.sourceToken);
            return;
          }
          case "anchor":
          case "tag":
          case "space":
          case "comment":
          case "newline":
            doc.start.push(this.sourceToken);
            return;
        }
        const bv = this.startBlockValue(doc);
        if (bv)
          this.stack.push(bv);
        else {
          yield {
            type: "error",
            offset: this.offset,
            message: `Unexpected ${this.type} token in YAML document`,
            source: this.source
          };
        }
      }
      *scalar(scalar2) {
        if (this.type === "map-value-ind") {
          const prev = getPrevProps(this.peek(2));
          const start = getFirstKeyStartProps(prev);
          let sep2;
          if (scalar2.end) {
            sep2 = scalar2.end;
            sep2.push(this.sourceToken);
            delete scalar2.end;
          } else
            sep2 = [this.sourceToken];
          const map = {
            type: "block-map",
            offset: scalar2.offset,
            indent: scalar2.indent,
            items: [{ start, key: scalar2, sep: sep2 }]
          };
          this.onKeyLine = true;
          this.stack[this.stack.length - 1] = map;
        } else
          yield* this.lineEnd(scalar2);
      }
      *blockScalar(scalar2) {
        switch (this.type) {
          case "space":
          case "comment":
          case "newline":
            scalar2.props.push(this.sourceToken);
            return;
          case "scalar":
            scalar2.source = this.source;
            this.atNewLine = true;
            this.indent = 0;
            if (this.onNewLine) {
              let nl = this.source.indexOf("\n") + 1;
              while (nl !== 0) {
                this.onNewLine(this.offset + nl);
                nl = this.source.indexOf("\n", nl) + 1;
              }
            }
            yield* this.pop();
            break;
          /* istanbul ignore next should not happen */
          default:
            yield* this.pop();
            yield* this.step();
        }
      }
      *blockMap(map) {
        const it = map.items[map.items.length - 1];
        switch (this.type) {
          case "newline":
            this.onKeyLine = false;
            if (it.value) {
              const end = "end" in it.value ? it.value.end : void 0;
              const last = Array.isArray(end) ? end[end.length - 1] : void 0;
              if (last?.type === "comment")
                end?.push(this.sourceToken);
              else
                map.items.push({ start: [this.sourceToken] });
            } else if (it.sep) {
              it.sep.push(this.sourceToken);
            } else {
              it.start.push(this.sourceToken);
            }
            return;
          case "space":
          case "comment":
            if (it.value) {
              map.items.push({ start: [this.sourceToken] });
            } else if (it.sep) {
              it.sep.push(this.sourceToken);
            } else {
              if (this.atIndentedComment(it.start, map.indent)) {
                const prev = map.items[map.items.length - 2];
                const end = prev?.value?.end;
                if (Array.isArray(end)) {
                  arrayPushArray(end, it.start);
                  end.push(this.sourceToken);
                  map.items.pop();
                  return;
                }
              }
              it.start.push(this.sourceToken);
            }
            return;
        }
        if (this.indent >= map.indent) {
          const atMapIndent = !this.onKeyLine && this.indent === map.indent;
          const atNextItem = atMapIndent && (it.sep || it.explicitKey) && this.type !== "seq-item-ind";
          let start = [];
          if (atNextItem && it.sep && !it.value) {
            const nl = [];
            for (let i = 0; i < it.sep.length; ++i) {
              const st = it.sep[i];
              switch (st.type) {
                case "newline":
                  nl.push(i);
                  break;
                case "space":
                  break;
                case "comment":
                  if (st.indent > map.indent)
                    nl.length = 0;
                  break;
                default:
                  nl.length = 0;
              }
            }
            if (nl.length >= 2)
              start = it.sep.splice(nl[1]);
          }
          switch (this.type) {
            case "anchor":
            case "tag":
              if (atNextItem || it.value) {
                start.push(this.sourceToken);
                map.items.push({ start });
                this.onKeyLine = true;
              } else if (it.sep) {
                it.sep.push(this.sourceToken);
              } else {
                it.start.push(this.sourceToken);
              }
              return;
            case "explicit-key-ind":
              if (!it.sep && !it.explicitKey) {
                it.start.push(this.sourceToken);
                it.explicitKey = true;
              } else if (atNextItem || it.value) {
                start.push(this.sourceToken);
                map.items.push({ start, explicitKey: true });
              } else {
                this.stack.push({
                  type: "block-map",
                  offset: this.offset,
                  indent: this.indent,
                  items: [{ start: [this.sourceToken], explicitKey: true }]
                });
              }
              this.onKeyLine = true;
              return;
            case "map-value-ind":
              if (it.explicitKey) {
                if (!it.sep) {
                  if (includesToken(it.start, "newline")) {
                    Object.assign(it, { key: null, sep: [this.sourceToken] });
                  } else {
                    const start2 = getFirstKeyStartProps(it.start);
                    this.stack.push({
                      type: "block-map",
                      offset: this.offset,
                      indent: this.indent,
                      items: [{ start: start2, key: null, sep: [this.sourceToken] }]
                    });
                  }
                } else if (it.value) {
                  map.items.push({ start: [], key: null, sep: [this.sourceToken] });
                } else if (includesToken(it.sep, "map-value-ind")) {
                  this.stack.push({
                    type: "block-map",
                    offset: this.offset,
                    indent: this.indent,
                    items: [{ start, key: null, sep: [this.sourceToken] }]
                  });
                } else if (isFlowToken(it.key) && !includesToken(it.sep, "newline")) {
                  const start2 = getFirstKeyStartProps(it.start);
                  const key2 = it.key;
                  const sep2 = it.sep;
                  sep2.push(this.sourceToken);
                  delete it.key;
                  delete it.sep;
                  this.stack.push({
                    type: "block-map",
                    offset: this.offset,
                    indent: this.indent,
                    items: [{ start: start2, key: key2, sep: sep2 }]
                  });
                } else if (start.length > 0) {
                  it.sep = it.sep.concat(start, this.sourceToken);
                } else {
                  it.sep.push(this.sourceToken);
                }
              } else {
                if (!it.sep) {
                  Object.assign(it, { key: null, sep: [this.sourceToken] });
                } else if (it.value || atNextItem) {
                  map.items.push({ start, key: null, sep: [this.sourceToken] });
                } else if (includesToken(it.sep, "map-value-ind")) {
                  this.stack.push({
                    type: "block-map",
                    offset: this.offset,
                    indent: this.indent,
                    items: [{ start: [], key: null, sep: [this.sourceToken] }]
                  });
                } else {
                  it.sep.push(this.sourceToken);
                }
              }
              this.onKeyLine = true;
              return;
            case "alias":
            case "scalar":
            case "single-quoted-scalar":
            case "double-quoted-scalar": {
              const fs = this.flowScalar(this.type);
              if (atNextItem || it.value) {
                map.items.push({ start, key: fs, sep: [] });
                this.onKeyLine = true;
              } else if (it.sep) {
                this.stack.push(fs);
              } else {
                Object.assign(it, { key: fs, sep: [] });
                this.onKeyLine = true;
              }
              return;
            }
            default: {
              const bv = this.startBlockValue(map);
              if (bv) {
                if (bv.type === "block-seq") {
                  if (!it.explicitKey && it.sep && !includesToken(it.sep, "newline")) {
                    yield* this.pop({
                      type: "error",
                      offset: this.offset,
                      message: "Unexpected block-seq-ind on same line with key",
                      source: this.source
                    });
                    return;
                  }
                } else if (atMapIndent) {
                  map.items.push({ start });
                }
                this.stack.push(bv);
                return;
              }
            }
          }
        }
        yield* this.pop();
        yield* this.step();
      }
      *blockSequence(seq) {
        const it = seq.items[seq.items.length - 1];
        switch (this.type) {
          case "newline":
            if (it.value) {
              const end = "end" in it.value ? it.value.end : void 0;
              const last = Array.isArray(end) ? end[end.length - 1] : void 0;
              if (last?.type === "comment")
                end?.push(this.sourceToken);
              else
                seq.items.push({ start: [this.sourceToken] });
            } else
              it.start.push(this.sourceToken);
            return;
          case "space":
          case "comment":
            if (it.value)
              seq.items.push({ start: [this.sourceToken] });
            else {
              if (this.atIndentedComment(it.start, seq.indent)) {
                const prev = seq.items[seq.items.length - 2];
                const end = prev?.value?.end;
                if (Array.isArray(end)) {
                  arrayPushArray(end, it.start);
                  end.push(this.sourceToken);
                  seq.items.pop();
                  return;
                }
              }
              it.start.push(this.sourceToken);
            }
            return;
          case "anchor":
          case "tag":
            if (it.value || this.indent <= seq.indent)
              break;
            it.start.push(this.sourceToken);
            return;
          case "seq-item-ind":
            if (this.indent !== seq.indent)
              break;
            if (it.value || includesToken(it.start, "seq-item-ind"))
              seq.items.push({ start: [this.sourceToken] });
            else
              it.start.push(this.sourceToken);
            return;
        }
        if (this.indent > seq.indent) {
          const bv = this.startBlockValue(seq);
          if (bv) {
            this.stack.push(bv);
            return;
          }
        }
        yield* this.pop();
        yield* this.step();
      }
      *flowCollection(fc) {
        const it = fc.items[fc.items.length - 1];
        if (this.type === "flow-error-end") {
          let top;
          do {
            yield* this.pop();
            top = this.peek(1);
          } while (top?.type === "flow-collection");
        } else if (fc.end.length === 0) {
          switch (this.type) {
            case "comma":
            case "explicit-key-ind":
              if (!it || it.sep)
                fc.items.push({ start: [this.sourceToken] });
              else
                it.start.push(this.sourceToken);
              return;
            case "map-value-ind":
              if (!it || it.value)
                fc.items.push({ start: [], key: null, sep: [this.sourceToken] });
              else if (it.sep)
                it.sep.push(this.sourceToken);
              else
                Object.assign(it, { key: null, sep: [this.sourceToken] });
              return;
            case "space":
            case "comment":
            case "newline":
            case "anchor":
            case "tag":
              if (!it || it.value)
                fc.items.push({ start: [this.sourceToken] });
              else if (it.sep)
                it.sep.push(this.sourceToken);
              else
                it.start.push(this.sourceToken);
              return;
            case "alias":
            case "scalar":
            case "single-quoted-scalar":
            case "double-quoted-scalar": {
              const fs = this.flowScalar(this.type);
              if (!it || it.value)
                fc.items.push({ start: [], key: fs, sep: [] });
              else if (it.sep)
                this.stack.push(fs);
              else
                Object.assign(it, { key: fs, sep: [] });
              return;
            }
            case "flow-map-end":
            case "flow-seq-end":
              fc.end.push(this.sourceToken);
              return;
          }
          const bv = this.startBlockValue(fc);
          if (bv)
            this.stack.push(bv);
          else {
            yield* this.pop();
            yield* this.step();
          }
        } else {
          const parent = this.peek(2);
          if (parent.type === "block-map" && (this.type === "map-value-ind" && parent.indent === fc.indent || this.type === "newline" && !parent.items[parent.items.length - 1].sep)) {
            yield* this.pop();
            yield* this.step();
          } else if (this.type === "map-value-ind" && parent.type !== "flow-collection") {
            const prev = getPrevProps(parent);
            const start = getFirstKeyStartProps(prev);
            fixFlowSeqItems(fc);
            const sep2 = fc.end.splice(1, fc.end.length);
            sep2.push(this.sourceToken);
            const map = {
              type: "block-map",
              offset: fc.offset,
              indent: fc.indent,
              items: [{ start, key: fc, sep: sep2 }]
            };
            this.onKeyLine = true;
            this.stack[this.stack.length - 1] = map;
          } else {
            yield* this.lineEnd(fc);
          }
        }
      }
      flowScalar(type) {
        if (this.onNewLine) {
          let nl = this.source.indexOf("\n") + 1;
          while (nl !== 0) {
            this.onNewLine(this.offset + nl);
            nl = this.source.indexOf("\n", nl) + 1;
          }
        }
        return {
          type,
          offset: this.offset,
          indent: this.indent,
          source: this.source
        };
      }
      startBlockValue(parent) {
        switch (this.type) {
          case "alias":
          case "scalar":
          case "single-quoted-scalar":
          case "double-quoted-scalar":
            return this.flowScalar(this.type);
          case "block-scalar-header":
            return {
              type: "block-scalar",
              offset: this.offset,
              indent: this.indent,
              props: [this.sourceToken],
              source: ""
            };
          case "flow-map-start":
          case "flow-seq-start":
            return {
              type: "flow-collection",
              offset: this.offset,
              indent: this.indent,
              start: this.sourceToken,
              items: [],
              end: []
            };
          case "seq-item-ind":
            return {
              type: "block-seq",
              offset: this.offset,
              indent: this.indent,
              items: [{ start: [this.sourceToken] }]
            };
          case "explicit-key-ind": {
            this.onKeyLine = true;
            const prev = getPrevProps(parent);
            const start = getFirstKeyStartProps(prev);
            start.push(this.sourceToken);
            return {
              type: "block-map",
              offset: this.offset,
              indent: this.indent,
              items: [{ start, explicitKey: true }]
            };
          }
          case "map-value-ind": {
            this.onKeyLine = true;
            const prev = getPrevProps(parent);
            const start = getFirstKeyStartProps(prev);
            return {
              type: "block-map",
              offset: this.offset,
              indent: this.indent,
              items: [{ start, key: null, sep: [this.sourceToken] }]
            };
          }
        }
        return null;
      }
      atIndentedComment(start, indent) {
        if (this.type !== "comment")
          return false;
        if (this.indent <= indent)
          return false;
        return start.every((st) => st.type === "newline" || st.type === "space");
      }
      *documentEnd(docEnd) {
        if (this.type !== "doc-mode") {
          if (docEnd.end)
            docEnd.end.push(this.sourceToken);
          else
            docEnd.end = [this.sourceToken];
          if (this.type === "newline")
            yield* this.pop();
        }
      }
      *lineEnd(token) {
        switch (this.type) {
          case "comma":
          case "doc-start":
          case "doc-end":
          case "flow-seq-end":
          case "flow-map-end":
          case "map-value-ind":
            yield* this.pop();
            yield* this.step();
            break;
          case "newline":
            this.onKeyLine = false;
          // fallthrough
          case "space":
          case "comment":
          default:
            if (token.end)
              token.end.push(this.sourceToken);
            else
              token.end = [this.sourceToken];
            if (this.type === "newline")
              yield* this.pop();
        }
      }
    };
    exports.Parser = Parser2;
  }
});

// node_modules/yaml/dist/public-api.js
var require_public_api = __commonJS({
  "node_modules/yaml/dist/public-api.js"(exports) {
    "use strict";
    var composer = require_composer();
    var Document = require_Document();
    var errors = require_errors();
    var log = require_log();
    var identity = require_identity();
    var lineCounter = require_line_counter();
    var parser = require_parser();
    function parseOptions(options) {
      const prettyErrors = options.prettyErrors !== false;
      const lineCounter$1 = options.lineCounter || prettyErrors && new lineCounter.LineCounter() || null;
      return { lineCounter: lineCounter$1, prettyErrors };
    }
    function parseAllDocuments2(source, options = {}) {
      const { lineCounter: lineCounter2, prettyErrors } = parseOptions(options);
      const parser$1 = new parser.Parser(lineCounter2?.addNewLine);
      const composer$1 = new composer.Composer(options);
      const docs = Array.from(composer$1.compose(parser$1.parse(source)));
      if (prettyErrors && lineCounter2)
        for (const doc of docs) {
          doc.errors.forEach(errors.prettifyError(source, lineCounter2));
          doc.warnings.forEach(errors.prettifyError(source, lineCounter2));
        }
      if (docs.length > 0)
        return docs;
      return Object.assign([], { empty: true }, composer$1.streamInfo());
    }
    function parseDocument(source, options = {}) {
      const { lineCounter: lineCounter2, prettyErrors } = parseOptions(options);
      const parser$1 = new parser.Parser(lineCounter2?.addNewLine);
      const composer$1 = new composer.Composer(options);
      let doc = null;
      for (const _doc of composer$1.compose(parser$1.parse(source), true, source.length)) {
        if (!doc)
          doc = _doc;
        else if (doc.options.logLevel !== "silent") {
          doc.errors.push(new errors.YAMLParseError(_doc.range.slice(0, 2), "MULTIPLE_DOCS", "Source contains multiple documents; please use YAML.parseAllDocuments()"));
          break;
        }
      }
      if (prettyErrors && lineCounter2) {
        doc.errors.forEach(errors.prettifyError(source, lineCounter2));
        doc.warnings.forEach(errors.prettifyError(source, lineCounter2));
      }
      return doc;
    }
    function parse(src, reviver, options) {
      let _reviver = void 0;
      if (typeof reviver === "function") {
        _reviver = reviver;
      } else if (options === void 0 && reviver && typeof reviver === "object") {
        options = reviver;
      }
      const doc = parseDocument(src, options);
      if (!doc)
        return null;
      doc.warnings.forEach((warning) => log.warn(doc.options.logLevel, warning));
      if (doc.errors.length > 0) {
        if (doc.options.logLevel !== "silent")
          throw doc.errors[0];
        else
          doc.errors = [];
      }
      return doc.toJS(Object.assign({ reviver: _reviver }, options));
    }
    function stringify(value, replacer, options) {
      let _replacer = null;
      if (typeof replacer === "function" || Array.isArray(replacer)) {
        _replacer = replacer;
      } else if (options === void 0 && replacer) {
        options = replacer;
      }
      if (typeof options === "string")
        options = options.length;
      if (typeof options === "number") {
        const indent = Math.round(options);
        options = indent < 1 ? void 0 : indent > 8 ? { indent: 8 } : { indent };
      }
      if (value === void 0) {
        const { keepUndefined } = options ?? replacer ?? {};
        if (!keepUndefined)
          return void 0;
      }
      if (identity.isDocument(value) && !_replacer)
        return value.toString(options);
      return new Document.Document(value, _replacer, options).toString(options);
    }
    exports.parse = parse;
    exports.parseAllDocuments = parseAllDocuments2;
    exports.parseDocument = parseDocument;
    exports.stringify = stringify;
  }
});

// node_modules/yaml/dist/index.js
var require_dist = __commonJS({
  "node_modules/yaml/dist/index.js"(exports) {
    "use strict";
    var composer = require_composer();
    var Document = require_Document();
    var Schema = require_Schema();
    var errors = require_errors();
    var Alias = require_Alias();
    var identity = require_identity();
    var Pair = require_Pair();
    var Scalar = require_Scalar();
    var YAMLMap = require_YAMLMap();
    var YAMLSeq = require_YAMLSeq();
    var cst = require_cst();
    var lexer = require_lexer();
    var lineCounter = require_line_counter();
    var parser = require_parser();
    var publicApi = require_public_api();
    var visit2 = require_visit();
    exports.Composer = composer.Composer;
    exports.Document = Document.Document;
    exports.Schema = Schema.Schema;
    exports.YAMLError = errors.YAMLError;
    exports.YAMLParseError = errors.YAMLParseError;
    exports.YAMLWarning = errors.YAMLWarning;
    exports.Alias = Alias.Alias;
    exports.isAlias = identity.isAlias;
    exports.isCollection = identity.isCollection;
    exports.isDocument = identity.isDocument;
    exports.isMap = identity.isMap;
    exports.isNode = identity.isNode;
    exports.isPair = identity.isPair;
    exports.isScalar = identity.isScalar;
    exports.isSeq = identity.isSeq;
    exports.Pair = Pair.Pair;
    exports.Scalar = Scalar.Scalar;
    exports.YAMLMap = YAMLMap.YAMLMap;
    exports.YAMLSeq = YAMLSeq.YAMLSeq;
    exports.CST = cst;
    exports.Lexer = lexer.Lexer;
    exports.LineCounter = lineCounter.LineCounter;
    exports.Parser = parser.Parser;
    exports.parse = publicApi.parse;
    exports.parseAllDocuments = publicApi.parseAllDocuments;
    exports.parseDocument = publicApi.parseDocument;
    exports.stringify = publicApi.stringify;
    exports.visit = visit2.visit;
    exports.visitAsync = visit2.visitAsync;
  }
});

// src/system/read-regular-file.ts
import { closeSync as closeSync2, constants as constants2, fstatSync as fstatSync2, openSync as openSync2, readSync } from "node:fs";

// src/system/open-beneath.ts
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync
} from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";

// src/errors.ts
var kind = (status, fixedBy, retryable, meaning) => ({
  status,
  fixedBy,
  retryable,
  meaning
});
var ERROR_KINDS = {
  INVALID_INPUT: kind(400, "caller", false, "An argument is missing, of the wrong type, or outside its range."),
  INVALID_STACK: kind(400, "caller", false, "The compose file cannot be read or uses something unsupported."),
  POLICY_VIOLATION: kind(403, "operator", false, "The compose file asks for something that would break the hardening."),
  FOLDER_NOT_ALLOWED: kind(403, "operator", false, "The project's folder is not below an allowed root."),
  READ_ONLY_MODE: kind(
    403,
    "operator",
    false,
    "The server runs in read-only mode and the operation changes something."
  ),
  CONFIRMATION_REQUIRED: kind(403, "caller", false, "The operation destroys data and was not confirmed."),
  UNAUTHORIZED: kind(401, "caller", false, "The request carries no valid bearer token."),
  FORBIDDEN: kind(403, "operator", false, "The token, the origin or the host of the request does not permit this."),
  NOT_FOUND: kind(404, "caller", false, "There is nothing at this path."),
  METHOD_NOT_ALLOWED: kind(405, "caller", false, "The path does not take this method."),
  PAYLOAD_TOO_LARGE: kind(413, "caller", false, "The request's body is too large."),
  UNSUPPORTED_MEDIA_TYPE: kind(415, "caller", false, "The request's body is not JSON."),
  TOO_MANY_REQUESTS: kind(429, "caller", true, "Too many requests in a short time."),
  UNKNOWN_PROJECT: kind(404, "caller", false, "No project has this id."),
  UNKNOWN_SERVICE: kind(404, "caller", false, "The stack has no service of this name."),
  PROJECT_CONFLICT: kind(409, "caller", false, "Two folders give the same project id."),
  PROJECT_LOCKED: kind(409, "caller", true, "Another stackwarden server runs this project's stack."),
  STACK_NOT_RUNNING: kind(409, "caller", false, "The stack is not running."),
  SERVICE_NOT_STARTED: kind(409, "caller", true, "The service has not started yet."),
  STACK_RUNNING: kind(409, "caller", false, "The operation needs a stopped stack and it is running."),
  COMMAND_NOT_FOUND: kind(
    400,
    "caller",
    false,
    "The program of a command does not exist in the service or cannot be run."
  ),
  COMMAND_NOT_ALLOWED: kind(403, "operator", false, "The operator does not allow this command."),
  UNKNOWN_SNAPSHOT: kind(404, "caller", false, "The project has no snapshot of this name."),
  SNAPSHOT_EXISTS: kind(409, "caller", false, "The project has a snapshot of this name already."),
  SNAPSHOT_BUSY: kind(409, "caller", true, "The snapshot is being saved, restored or deleted by another call."),
  SNAPSHOT_TOO_LARGE: kind(
    507,
    "operator",
    false,
    "The data is larger than snapshots may be or than the disk has room for."
  ),
  OPERATION_CANCELLED: kind(
    409,
    "caller",
    true,
    "The caller cancelled the operation; what it had begun was rolled back."
  ),
  PORT_IN_USE: kind(409, "caller", true, "A published host port is taken by another process."),
  LIMIT_REFUSED: kind(400, "caller", false, "The limit is impossible or unsafe for this service."),
  LIMITS_NOT_ENFORCEABLE: kind(
    503,
    "operator",
    false,
    "Enforced limits are required and this machine cannot enforce them."
  ),
  RESTART_BUDGET_EXCEEDED: kind(429, "service", true, "The service was restarted too often in five minutes."),
  SERVICE_START_FAILED: kind(500, "service", false, "A service exited or never became healthy."),
  START_TIMEOUT: kind(504, "service", true, "The stack did not become healthy before the deadline."),
  STOP_FAILED: kind(500, "us", true, "A service could not be stopped."),
  DEPENDENCY_INSTALL_FAILED: kind(500, "service", false, "Installing a service's dependencies failed."),
  RUNTIME_UNAVAILABLE: kind(503, "operator", true, "The runtime that should run the stack cannot be reached."),
  RUNTIME_LOST: kind(503, "operator", true, "The runtime died while the stack was running."),
  SERVER_UNAVAILABLE: kind(503, "operator", true, "The user's background server cannot be started or reached."),
  SERVER_LOST: kind(503, "operator", true, "The user's background server ended during the call."),
  SERVER_IN_USE: kind(409, "operator", true, "A stackwarden server of this user runs and is in use."),
  UNSUPPORTED: kind(400, "operator", false, "This runtime cannot do what was asked."),
  STORAGE_FAILED: kind(507, "operator", true, "The state directory cannot be read or written."),
  INTERNAL: kind(500, "us", false, "A defect of stackwarden.")
};
var StackwardenError = class extends Error {
  code;
  hint;
  details;
  constructor(code, message, options = {}) {
    super(message, options.cause === void 0 ? void 0 : { cause: options.cause });
    this.name = "StackwardenError";
    this.code = code;
    this.hint = options.hint ?? ERROR_KINDS[code].meaning;
    this.details = options.details;
  }
  get kind() {
    return ERROR_KINDS[this.code];
  }
  report() {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      retryable: this.kind.retryable,
      ...this.details === void 0 ? {} : { details: this.details }
    };
  }
};

// src/system/open-beneath.ts
var O_PATH = 2097152;
var STEP = O_PATH | constants.O_NOFOLLOW;
var MAX_LINKS = 40;
var UnsafePathError = class extends StackwardenError {
  constructor(reason, path, problem, options = {}) {
    super(options.code ?? "INVALID_STACK", `${path} ${problem}.`, {
      hint: options.hint ?? "Replace it with a regular file inside the project's folder.",
      details: { path, reason },
      cause: options.cause
    });
    this.reason = reason;
    this.path = path;
    this.problem = problem;
  }
  reason;
  path;
  problem;
};
var isBeneath = (folder, path) => {
  const inner = relative(folder, path);
  return inner === "" || inner !== ".." && !inner.startsWith(`..${sep}`) && !isAbsolute(inner);
};
var hasDescriptorPaths = process.platform === "linux" && existsSync("/proc/self/fd");
var codeOf = (error) => error.code;
var isMissing = (error) => codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
function openFolder(folder, shown) {
  let fd = openSync("/", O_PATH | constants.O_DIRECTORY);
  try {
    for (const name of folder.split(sep).filter((part) => part !== "")) {
      const next = openSync(`/proc/self/fd/${fd}/${name}`, STEP | constants.O_DIRECTORY);
      closeSync(fd);
      fd = next;
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    if (codeOf(error) === "ENOTDIR")
      throw new UnsafePathError("changed", shown, "cannot be reached: its folder was replaced by a link", {
        hint: "Restore the folder, or start the project again by its present path.",
        cause: error
      });
    throw error;
  }
}
function walk(folder, inner, shown) {
  const outside = () => new UnsafePathError("outside", shown, "leads outside the project's folder");
  const descriptors = [openFolder(folder, shown)];
  const names2 = [];
  const pending = inner.split(sep).reverse();
  let links = 0;
  try {
    for (let name = pending.pop(); name !== void 0; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (names2.pop() === void 0) throw outside();
        closeSync(descriptors.pop());
        continue;
      }
      const at = `/proc/self/fd/${descriptors.at(-1)}/${name}`;
      const fd2 = openSync(at, STEP);
      if (!fstatSync(fd2).isSymbolicLink()) {
        descriptors.push(fd2);
        names2.push(name);
        continue;
      }
      closeSync(fd2);
      links += 1;
      if (links > MAX_LINKS) throw new UnsafePathError("outside", shown, "is a link that never ends");
      const target2 = readlinkSync(at);
      if (isAbsolute(target2)) {
        if (!isBeneath(folder, target2)) throw outside();
        for (const open2 of descriptors.splice(1)) closeSync(open2);
        names2.length = 0;
      }
      const steps = isAbsolute(target2) ? relative(folder, target2) : target2;
      pending.push(...steps.split("/").reverse());
    }
    const fd = descriptors.pop();
    return { fd, stats: fstatSync(fd), real: join(folder, ...names2), shown };
  } catch (error) {
    if (error instanceof UnsafePathError) throw error;
    if (isMissing(error)) return void 0;
    if (codeOf(error) === "EINVAL")
      throw new UnsafePathError("changed", shown, "changed while it was read", { cause: error });
    throw error;
  } finally {
    for (const open2 of descriptors) closeSync(open2);
  }
}
function resolvePortably(folder, inner, shown) {
  try {
    const real = realpathSync(join(folder, inner));
    if (!isBeneath(realpathSync(folder), real))
      throw new UnsafePathError("outside", shown, "leads outside the project's folder");
    return { fd: -1, stats: lstatSync(real), real, shown };
  } catch (error) {
    if (isMissing(error)) return void 0;
    throw error;
  }
}
function openBeneath(path, within) {
  const full = resolve(within, path);
  const shown = relative(within, full) || ".";
  if (!isBeneath(within, full)) throw new UnsafePathError("outside", shown, "leads outside the project's folder");
  try {
    return (hasDescriptorPaths ? walk : resolvePortably)(within, relative(within, full), shown);
  } catch (error) {
    const code = codeOf(error);
    if (error instanceof StackwardenError || code === void 0) throw error;
    throw new UnsafePathError("denied", shown, `cannot be read (${code})`, {
      hint: "Correct its permissions.",
      cause: error
    });
  }
}
var closeBeneath = ({ fd }) => {
  if (fd >= 0) closeSync(fd);
};

// src/system/read-regular-file.ts
var DEFAULT_MAX_BYTES = 1048576;
var CHUNK = 65536;
function kindOf(stats) {
  if (stats.isFile()) return "file";
  return stats.isDirectory() ? "folder" : "special";
}
function describe(stats) {
  if (stats.isDirectory()) return "is a folder";
  if (stats.isFIFO()) return "is a named pipe";
  return stats.isSocket() ? "is a socket" : "is a device";
}
var size = (bytes) => bytes % 1048576 === 0 ? `${bytes / 1048576} MiB` : `${bytes} bytes`;
function readUpTo(fd, maxBytes, tooLarge) {
  const chunks = [];
  for (let total = 0; ; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, maxBytes + 1 - total));
    const length = readSync(fd, chunk, 0, chunk.length, null);
    if (length === 0) return Buffer.concat(chunks, total);
    total += length;
    if (total > maxBytes) throw tooLarge();
    chunks.push(chunk.subarray(0, length));
  }
}
function open({ fd, real, stats, shown }) {
  const opened = openSync2(
    fd < 0 ? real : `/proc/self/fd/${fd}`,
    constants2.O_RDONLY | constants2.O_NONBLOCK | constants2.O_NOCTTY | (fd < 0 ? constants2.O_NOFOLLOW : 0)
  );
  const now = fstatSync2(opened);
  if (now.isFile() && now.ino === stats.ino && now.dev === stats.dev) return opened;
  closeSync2(opened);
  throw new UnsafePathError("changed", shown, "changed while it was read");
}
function readRegularFile(path, options) {
  const { within, maxBytes = DEFAULT_MAX_BYTES } = options;
  const beneath = openBeneath(path, within);
  if (beneath === void 0) return void 0;
  const { stats, shown } = beneath;
  const tooLarge = () => new UnsafePathError("too large", shown, `is larger than ${size(maxBytes)}`, { hint: "Use a smaller file." });
  try {
    if (!stats.isFile()) throw new UnsafePathError("special", shown, `${describe(stats)}; expected a regular file`);
    if (stats.size > maxBytes) throw tooLarge();
    const fd = open(beneath);
    try {
      return { bytes: readUpTo(fd, maxBytes, tooLarge), path: beneath.real };
    } finally {
      closeSync2(fd);
    }
  } catch (error) {
    if (error instanceof UnsafePathError) throw error;
    throw new UnsafePathError("denied", shown, `cannot be read (${error.code})`, {
      hint: "Correct its permissions.",
      cause: error
    });
  } finally {
    closeBeneath(beneath);
  }
}
var readRegularText = (path, options) => readRegularFile(path, options)?.bytes.toString("utf8");
function statBeneath(path, within) {
  const beneath = openBeneath(path, within);
  if (beneath === void 0) return void 0;
  closeBeneath(beneath);
  return { kind: kindOf(beneath.stats), path: beneath.real, size: beneath.stats.size };
}

// src/system/real-path.ts
import { realpathSync as realpathSync2 } from "node:fs";
import { join as join2, resolve as resolve2 } from "node:path";
function realPath(path) {
  try {
    return realpathSync2(path);
  } catch {
    const parent = resolve2(path, "..");
    return parent === path ? path : join2(realPath(parent), path.slice(parent.length));
  }
}

// src/stack/project-id.ts
var SERVICE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

// src/stack/text/sanitize-text.ts
var ESCAPE_SEQUENCE = new RegExp(
  [
    // CSI: parameters, intermediates, final
    "(?:\\x1b\\[|\\x9b)[0-?]*[ -/]*[@-~]?",
    // OSC, DCS, SOS, PM, APC: body up to BEL or ST
    "(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d\\x9e\\x9f])(?:[^\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f]*(?:\\x07|\\x1b\\\\|\\x9c))?",
    // every other escape: intermediates, final
    "\\x1b[ -/]*[0-~]?"
  ].join("|"),
  "g"
);
var LINE_BREAK = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g;
var CONTROL = "\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f";
var BIDIRECTIONAL = "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069";
var INVISIBLE = "\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200d\\u2060-\\u2065\\u206a-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb";
var SURROGATES = "\\udb40[\\udc00-\\udfff]|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]";
var UNWANTED = new RegExp(`[${CONTROL}${BIDIRECTIONAL}${INVISIBLE}]|${SURROGATES}`, "g");
var SUSPECT = new RegExp(`[\\n-\\r\\x85\\u2028\\u2029\\ud800-\\udfff${CONTROL}${BIDIRECTIONAL}${INVISIBLE}]`);
var INTRODUCERS = "\\x1b\\x90\\x98\\x9b\\x9d-\\x9f";
var CONTROL_INTRODUCER = new RegExp(`[${INTRODUCERS}]`);
function sanitizeText(text2) {
  if (!SUSPECT.test(text2)) return text2;
  const plain = CONTROL_INTRODUCER.test(text2) ? text2.replace(ESCAPE_SEQUENCE, "") : text2;
  return plain.replace(LINE_BREAK, " ").replace(UNWANTED, "");
}
var encoder = new TextEncoder();

// src/stack/text/secret-encodings.ts
var MIN_SECRET_LENGTH = 6;
var ORDINARY_WORDS = /* @__PURE__ */ new Set([
  "postgres",
  "postgresql",
  "password",
  "localhost",
  "default",
  "development",
  "production",
  "commandcenter"
]);
var percent = (value, keep) => Array.from(Buffer.from(value), (byte) => {
  const character = String.fromCharCode(byte);
  return keep.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}).join("");
var lowerCaseHex = (encoded) => encoded.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
function base64Cores(value) {
  const bytes = Buffer.from(value);
  return [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/, "");
    const from = Math.ceil(offset * 8 / 6);
    const to = Math.floor((offset + bytes.length) * 8 / 6);
    return encoded.slice(from, to);
  });
}
var asciiOnly = (text2) => text2.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
function formsOfOne(value) {
  const urls = [/[A-Za-z0-9\-_.~]/, /[A-Za-z0-9\-_.!~*'()]/, /[A-Za-z0-9\-_.~/]/].flatMap((keep) => {
    const encoded = percent(value, keep);
    return [encoded, encoded.replaceAll("%20", "+")];
  });
  const json = JSON.stringify(value).slice(1, -1);
  const base64 = base64Cores(value);
  return [
    value,
    sanitizeText(value),
    ...urls,
    ...urls.map(lowerCaseHex),
    json,
    json.replaceAll("/", "\\/"),
    asciiOnly(json),
    JSON.stringify(json).slice(1, -1),
    ...base64,
    ...base64.map((core) => core.replaceAll("+", "-").replaceAll("/", "_"))
  ];
}
function secretEncodings(value) {
  if (value.length < MIN_SECRET_LENGTH || ORDINARY_WORDS.has(value.toLowerCase())) return [];
  const lines = /[\r\n]/.test(value) ? value.split(/[\r\n]+/).filter((line) => line.length >= MIN_SECRET_LENGTH && !line.startsWith("-----")) : [];
  const forms = [value, ...lines].flatMap(formsOfOne);
  return [...new Set(forms)].filter((form) => form.length >= MIN_SECRET_LENGTH);
}

// src/stack/definition/attributes.ts
var row = (dagger, docker2, local, field) => ({
  effects: { dagger, docker: docker2, local },
  ...field === void 0 ? {} : { field }
});
var works = (field) => row("works", "works", "works", field);
var noted = (note) => row({ note }, { note }, { note });
var refused = (policy) => row({ policy }, { policy }, { policy });
var docker = (note, field) => row({ note }, "works", { note }, field);
var containers = (note, field) => row("works", "works", { note }, field);
var DEVICE = "It would give the service the machine's devices.";
var SHARED = "It would share a namespace with the machine or with another service.";
var SWARM = "It belongs to a cluster (Swarm); this stack runs on one machine.";
var OWN_NETWORK = "The runtime has one private network for the stack, in which services reach each other by name.";
var PROCESS = "The local runtime runs processes of this machine, not containers.";
var BUILDER = "The builder of the runtime decides.";
var HOST_LIMIT = "Stackwarden limits CPU, memory and processes.";
var ATTRIBUTES = {
  version: noted("`version` is obsolete in compose files."),
  name: works(),
  include: works(),
  models: noted("Stackwarden runs no model servers."),
  jobs: noted("Jobs are not started; write a service with `profiles` for what runs once."),
  "services.annotations": docker("Annotations are read by container engines.", "annotations"),
  "services.attach": noted("Lines of every service are kept; choose with get_logs."),
  "services.blkio_config": noted(HOST_LIMIT),
  "services.build": containers("The local runtime builds no images; `x-local` says how the service runs.", "build"),
  "services.build.context": containers("It builds no images.", "build"),
  "services.build.dockerfile": containers("It builds no images.", "build"),
  "services.build.dockerfile_inline": docker("This runtime builds from a Dockerfile in the context.", "dockerfileInline"),
  "services.build.target": containers("It builds no images.", "target"),
  "services.build.args": containers("It builds no images.", "args"),
  "services.build.labels": docker("Labels of a built image are not read by anything here.", "labels"),
  "services.build.additional_contexts": noted(BUILDER),
  "services.build.cache_from": noted(BUILDER),
  "services.build.cache_to": noted(BUILDER),
  "services.build.no_cache": docker(BUILDER, "noCache"),
  "services.build.no_cache_filter": noted(BUILDER),
  "services.build.pull": docker(BUILDER, "pull"),
  "services.build.network": noted(BUILDER),
  "services.build.provenance": noted(BUILDER),
  "services.build.sbom": noted(BUILDER),
  "services.build.platforms": noted("The image is built for this machine's platform."),
  "services.build.shm_size": noted(BUILDER),
  "services.build.extra_hosts": noted(BUILDER),
  "services.build.isolation": noted("It exists on Windows alone."),
  "services.build.tags": noted("The image is for this stack alone and gets no further names."),
  "services.build.ulimits": noted(BUILDER),
  "services.build.secrets": noted("The builder gets no secrets; a RUN that needs one fails."),
  "services.build.ssh": refused("It would give the build the user's SSH keys."),
  "services.build.privileged": refused("It would give the build the whole machine."),
  "services.build.entitlements": refused("It would give the build rights of the machine."),
  "services.cap_add": refused("It adds kernel capabilities. Docker's default ones are accepted without effect: services run without any."),
  "services.cap_drop": works(),
  "services.cgroup": refused(SHARED),
  "services.cgroup_parent": refused("It would leave the stack's control group."),
  "services.command": works("command"),
  "services.configs": row("works", "works", { note: PROCESS }, "configs"),
  "services.container_name": row("works", "works", "works", "containerName"),
  "services.cpu_count": noted("It exists on Windows alone."),
  "services.cpu_percent": noted("It exists on Windows alone."),
  "services.cpu_period": works(),
  "services.cpu_quota": works(),
  "services.cpu_rt_period": noted(HOST_LIMIT),
  "services.cpu_rt_runtime": noted(HOST_LIMIT),
  "services.cpu_shares": docker("`cpus` limits the service here.", "cpuShares"),
  "services.cpus": works("limits"),
  "services.cpuset": docker("The service may run on every CPU; `cpus` limits it.", "cpuset"),
  "services.credential_spec": noted("It exists on Windows alone."),
  "services.depends_on": works("dependsOn"),
  "services.deploy.mode": noted(SWARM),
  "services.deploy.endpoint_mode": noted(SWARM),
  "services.deploy.labels": noted(SWARM),
  "services.deploy.placement": noted(SWARM),
  "services.deploy.replicas": docker("One instance runs on this runtime.", "replicas"),
  "services.deploy.resources": works("limits"),
  "services.deploy.resources.limits": works("limits"),
  "services.deploy.resources.reservations": works("reservations"),
  "services.deploy.resources.reservations.devices": refused(DEVICE),
  "services.deploy.resources.reservations.generic_resources": noted(SWARM),
  "services.deploy.restart_policy": works("restart"),
  "services.deploy.restart_policy.delay": noted("Restarts wait 0.5 s, then twice as long each time, up to 30 s."),
  "services.deploy.restart_policy.window": noted("An instance counts as well after it was healthy."),
  "services.deploy.rollback_config": noted(SWARM),
  "services.deploy.update_config": noted(SWARM),
  "services.develop": noted("Call restart_service after a change: it takes the project's present source."),
  "services.device_cgroup_rules": refused(DEVICE),
  "services.devices": refused(DEVICE),
  "services.dns": docker(OWN_NETWORK, "dns"),
  "services.dns_opt": docker(OWN_NETWORK, "dnsOptions"),
  "services.dns_search": docker(OWN_NETWORK, "dnsSearch"),
  "services.domainname": docker(OWN_NETWORK, "domainName"),
  "services.entrypoint": containers("`x-local.command` says how the service runs.", "entrypoint"),
  "services.env_file": works("environment"),
  "services.environment": works("environment"),
  "services.expose": works("expose"),
  "services.extends": works(),
  "services.external_links": refused("It reaches containers of other stacks."),
  "services.extra_hosts": docker(OWN_NETWORK, "extraHosts"),
  "services.gpus": refused(DEVICE),
  "services.group_add": docker("The service has its user's own group alone.", "groupAdd"),
  "services.healthcheck": works("healthcheck"),
  "services.hostname": row("works", "works", { note: "The host name is this machine's; other services find it by that name." }, "hostname"),
  "services.image": works("image"),
  "services.init": row("works", "works", { note: "The server itself reaps the service's processes." }, "init"),
  "services.ipc": refused(SHARED),
  "services.isolation": noted("It exists on Windows alone."),
  "services.label_file": works("labels"),
  "services.labels": docker("Labels are kept, and nothing reads them here.", "labels"),
  "services.links": row("works", "works", "works", "links"),
  "services.logging": noted("Stackwarden keeps every line itself (get_logs)."),
  "services.mac_address": noted("The runtime chooses hardware addresses."),
  "services.mem_limit": works("limits"),
  "services.mem_reservation": works("reservations"),
  "services.mem_swappiness": docker(HOST_LIMIT, "memorySwappiness"),
  "services.memswap_limit": noted("Memory limits hold without swap."),
  "services.models": noted("Stackwarden runs no model servers."),
  "services.network_mode": row({ policy: "`host`, `service:` and `container:` leave the stack's own network; `none` has no effect here." }, { policy: "`host`, `service:` and `container:` leave the stack's own network; `none` works." }, { policy: "`host`, `service:` and `container:` leave the stack's own network; `none` has no effect here." }),
  "services.networks": docker(OWN_NETWORK, "networks"),
  "services.networks.aliases": row("works", "works", "works", "networks"),
  "services.networks.driver_opts": noted("The runtime's networks have no options."),
  "services.networks.gw_priority": noted("The runtime chooses the way out."),
  "services.networks.interface_name": noted("The runtime names interfaces."),
  "services.networks.ipv4_address": noted("The runtime chooses addresses; services reach each other by name."),
  "services.networks.ipv6_address": noted("The runtime chooses addresses; services reach each other by name."),
  "services.networks.link_local_ips": noted("The runtime chooses addresses; services reach each other by name."),
  "services.networks.mac_address": noted("The runtime chooses hardware addresses."),
  "services.networks.priority": noted("The order of networks has no effect."),
  "services.networks.use_service_name_alias": noted("Services always reach each other by name."),
  "services.oom_kill_disable": noted("A service that exceeds its memory is ended; otherwise the whole machine would suffer."),
  "services.oom_score_adj": docker("The kernel decides.", "oomScoreAdj"),
  "services.pid": refused(SHARED),
  "services.pids_limit": works("limits"),
  "services.platform": docker("The service runs on this machine's platform.", "platform"),
  "services.ports": works("ports"),
  "services.ports.target": works("ports"),
  "services.ports.published": works("ports"),
  "services.ports.host_ip": noted("Ports are published on 127.0.0.1, whatever address is written."),
  "services.ports.protocol": docker("UDP ports are not published on this runtime.", "protocol"),
  "services.ports.mode": noted(SWARM),
  "services.ports.name": noted("It is a description."),
  "services.ports.app_protocol": noted("It is a description."),
  "services.post_start": noted("The hook does not run."),
  "services.pre_start": noted("The hook does not run."),
  "services.pre_stop": noted("The hook does not run."),
  "services.privileged": refused("It gives the service the whole machine."),
  "services.profiles": works(),
  "services.provider": noted("Stackwarden starts no external programs for a service."),
  "services.pull_policy": docker("Images are pulled when they are missing.", "pullPolicy"),
  "services.pull_refresh_after": noted("Images are pulled when they are missing."),
  "services.read_only": row({ note: "An engine of Dagger has no read-only root file systems." }, "works", { note: PROCESS }, "readOnly"),
  "services.restart": works("restart"),
  "services.runtime": refused("It chooses another container runtime, which can have other isolation."),
  "services.scale": docker("One instance runs on this runtime.", "replicas"),
  "services.secrets": row("works", "works", { note: "The local runtime has no /run/secrets; give the secret as `environment`." }, "secrets"),
  "services.secrets.uid": docker("The file belongs to the service's user.", "uid"),
  "services.secrets.gid": docker("The file belongs to the service's user.", "gid"),
  "services.secrets.mode": docker("The service's user alone can read the file.", "mode"),
  "services.security_opt": refused("It weakens the isolation, unless it is `no-new-privileges`, which always holds."),
  "services.shm_size": docker("The runtime's own size holds.", "shmSizeBytes"),
  "services.stdin_open": docker("Services have no terminal.", "stdinOpen"),
  "services.stop_grace_period": works("stopGracePeriodMs"),
  "services.stop_signal": works("stopSignal"),
  "services.storage_opt": noted("The runtime decides how images are stored."),
  "services.sysctls": row({ policy: "Only parameters of the container's own namespaces are accepted; they have no effect on this runtime." }, { policy: "Only parameters of the container's own namespaces work." }, { policy: "Only parameters of the container's own namespaces are accepted; they have no effect on this runtime." }),
  "services.tmpfs": works("mounts"),
  "services.tty": docker("Services have no terminal.", "tty"),
  "services.ulimits": docker("The machine's own limits hold.", "ulimits"),
  "services.umask": noted("The image's own umask holds."),
  "services.use_api_socket": refused("It reaches the container engine's socket."),
  "services.user": works("user"),
  "services.userns_mode": refused(SHARED),
  "services.uts": refused(SHARED),
  "services.volumes": works("mounts"),
  "services.volumes.consistency": noted("It exists on macOS alone."),
  "services.volumes.bind.propagation": noted("Mounts are private to the service."),
  "services.volumes.bind.recursive": noted("Mounts are private to the service."),
  "services.volumes.bind.selinux": noted("The runtime labels mounts where the machine needs it."),
  "services.volumes.bind.create_host_path": works(),
  "services.volumes.volume.labels": noted("Volumes of the project have no labels."),
  "services.volumes.volume.nocopy": docker("Nothing of the image is copied into a volume on this runtime.", "noCopy"),
  "services.volumes.volume.subpath": docker("The whole volume is mounted.", "subpath"),
  "services.volumes.tmpfs.mode": docker("The runtime chooses the permissions.", "mode"),
  "services.volumes.image": noted("Images are not mounted as volumes."),
  "services.volumes_from": refused("It takes another container's volumes; mount the same named volume instead."),
  "services.working_dir": works("workingDir"),
  "networks.name": noted("Networks belong to the project and are named by it."),
  "networks.driver": noted("The runtime chooses the driver."),
  "networks.driver_opts": noted("The runtime's networks have no options."),
  "networks.ipam": noted("The runtime chooses addresses; services reach each other by name."),
  "networks.external": noted("A network of the project takes the place of the external one."),
  "networks.internal": docker("The runtime's network has a way out.", "internal"),
  "networks.enable_ipv4": noted("The runtime chooses addresses."),
  "networks.enable_ipv6": noted("The runtime chooses addresses."),
  "networks.attachable": noted("Networks belong to the project."),
  "networks.labels": noted("Networks of the project have no labels."),
  "volumes.name": noted("Volumes belong to the project and are named by it."),
  "volumes.driver": noted("Volumes are kept on this machine, as with the driver `local`."),
  "volumes.driver_opts": noted("Volumes are kept on this machine. A `device` that is bound (`o: bind`) is read as a bind mount."),
  "volumes.external": noted("A volume of the project takes the place of the external one; it begins empty."),
  "volumes.labels": noted("Volumes of the project have no labels."),
  "secrets.name": noted("Secrets belong to the project."),
  "secrets.environment": works(),
  "secrets.file": works(),
  "secrets.external": noted("Set the variable of the secret's name in .env: there is no store of external secrets."),
  "secrets.labels": noted("Secrets of the project have no labels."),
  "secrets.driver": noted(SWARM),
  "secrets.driver_opts": noted(SWARM),
  "secrets.template_driver": noted(SWARM),
  "configs.name": noted("Configs belong to the project."),
  "configs.content": works(),
  "configs.environment": works(),
  "configs.file": works(),
  "configs.external": noted("There is no store of external configs; the file is empty."),
  "configs.labels": noted("Configs of the project have no labels."),
  "configs.template_driver": noted(SWARM)
};
var ABOVE = /* @__PURE__ */ new Set();
for (const path of Object.keys(ATTRIBUTES))
  for (let at = path.lastIndexOf("."); at > 0; at = path.lastIndexOf(".", at - 1)) ABOVE.add(path.slice(0, at));
var hasRowsBelow = (path) => ABOVE.has(path);
function keysBelow(path) {
  const keys = /* @__PURE__ */ new Set();
  for (const one of [...Object.keys(ATTRIBUTES), ...ABOVE])
    if (one.startsWith(`${path}.`)) keys.add(one.slice(path.length + 1).split(".", 1)[0]);
  return [...keys];
}

// src/stack/definition/tree.ts
var scalar = (like, value) => ({
  kind: "scalar",
  file: like.file,
  at: like.at,
  value,
  ...like.kind === "scalar" && like.secret ? { secret: true } : {}
});
var mapping = (like, entries) => ({
  kind: "map",
  file: like.file,
  at: like.at,
  entries,
  ...like.tag === void 0 ? {} : { tag: like.tag }
});
var sequence = (like, items) => ({
  kind: "list",
  file: like.file,
  at: like.at,
  items,
  ...like.tag === void 0 ? {} : { tag: like.tag }
});
var isNull = (tree) => tree === void 0 || tree.tag === "reset" || tree.kind === "scalar" && tree.value === null;
var entry = (tree, key2) => tree?.kind === "map" ? tree.entries.get(key2) : void 0;
function textOf(tree) {
  if (tree?.kind !== "scalar" || tree.value === null || tree.tag === "reset") return void 0;
  return typeof tree.value === "string" ? tree.value : tree.source ?? String(tree.value);
}
var lineOf = ({ file, at }) => at === null || file.lines === null ? null : file.lines.linePos(at).line;
function sameTree(one, other, budget = { left: 1e5 }) {
  budget.left -= 1;
  if (one === other) return true;
  if (budget.left < 0 || one.kind !== other.kind) return false;
  if (one.kind === "scalar") return one.value === other.value;
  if (one.kind === "list") {
    const { items } = other;
    return one.items.length === items.length && one.items.every((item, at) => sameTree(item, items[at], budget));
  }
  const { entries } = other;
  return one.entries.size === entries.size && [...one.entries].every(([key2, value]) => {
    const match = entries.get(key2);
    return match !== void 0 && sameTree(value, match, budget);
  });
}

// src/stack/definition/attribute-uses.ts
var DEEPEST = 8;
var MOST_VALUES = 5e4;
var hasNote = (path) => Object.values(ATTRIBUTES[path]?.effects ?? {}).some((effect) => typeof effect === "object" && "note" in effect);
function attributeUses(root, path) {
  const uses = /* @__PURE__ */ new Set();
  let left = MOST_VALUES;
  const visit2 = (tree, at, depth) => {
    left -= 1;
    if (left < 0 || isNull(tree) || depth > DEEPEST) return;
    if (ATTRIBUTES[at] !== void 0 && hasNote(at)) uses.add(at);
    if (!hasRowsBelow(at)) return;
    if (tree.kind === "list") for (const item of tree.items) visit2(item, at, depth + 1);
    else if (tree.kind === "map")
      for (const [key2, value] of tree.entries) {
        const below2 = `${at}.${key2}`;
        visit2(value, ATTRIBUTES[below2] !== void 0 || hasRowsBelow(below2) ? below2 : at, depth + 1);
      }
  };
  visit2(root, path, 0);
  return uses;
}

// src/stack/definition/graph.ts
function findCycle(services) {
  const done = /* @__PURE__ */ new Set();
  const way = [];
  const visit2 = (name) => {
    const at = way.indexOf(name);
    if (at >= 0) return [...way.slice(at), name];
    const service = services[name];
    if (done.has(name) || service === void 0) return null;
    way.push(name);
    for (const dependency of Object.keys(service.dependsOn)) {
      const cycle = visit2(dependency);
      if (cycle !== null) return cycle;
    }
    way.pop();
    done.add(name);
    return null;
  };
  for (const name of Object.keys(services)) {
    const cycle = visit2(name);
    if (cycle !== null) return cycle;
  }
  return null;
}
var PUBLISHED = /\{published:([^:{}]*):([^:{}]*)\}/g;
var publishedTokens = (value) => [...value.matchAll(PUBLISHED)].map(([token, service = "", port2 = ""]) => ({ token, service, port: Number(port2) }));

// src/stack/definition/model.ts
import { dirname as dirname2, join as join3, resolve as resolve4 } from "node:path";

// src/stack/definition/interpolate.ts
var InterpolationError = class extends Error {
};
var NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
var OPERATOR = /:?[-?+]/y;
var DEEPEST2 = 16;
function closingBrace(text2, from, last) {
  let open2 = 0;
  for (let at = from; at <= last; at += 1) {
    if (text2[at] === "}") {
      open2 -= 1;
      if (open2 === 0) return at;
    } else if (text2[at] === "{") {
      open2 += 1;
      at += 1;
    }
  }
  return -1;
}
function interpolate(text2, lookup) {
  let secret = false;
  const unset = [];
  const use = (variable) => {
    if (variable?.secret) secret = true;
    return variable?.value ?? "";
  };
  const plain = (name) => {
    const variable = lookup(name);
    if (variable === void 0) unset.push(name);
    return use(variable);
  };
  const expand = (source, depth) => {
    if (depth > DEEPEST2) throw new InterpolationError(`variables nest deeper than ${DEEPEST2}`);
    const match = (pattern, at2) => {
      pattern.lastIndex = at2;
      return pattern.exec(source)?.[0] ?? null;
    };
    let out = "";
    let at = 0;
    let lineEnd = -1;
    while (at < source.length) {
      const dollar = source.indexOf("$", at);
      if (dollar < 0) return out + source.slice(at);
      out += source.slice(at, dollar);
      const next = source[dollar + 1];
      const bare = match(NAME, dollar + 1);
      if (next === "$") {
        out += "$";
        at = dollar + 2;
      } else if (bare !== null) {
        out += plain(bare);
        at = dollar + 1 + bare.length;
      } else if (next !== "{") {
        out += "$";
        at = dollar + 1;
      } else {
        if (lineEnd < dollar) {
          lineEnd = source.indexOf("\n", dollar);
          if (lineEnd < 0) lineEnd = source.length;
        }
        const [value, end] = braced(source, dollar, lineEnd, depth, match);
        out += value;
        at = end;
      }
    }
    return out;
  };
  const braced = (source, dollar, lineEnd, depth, match) => {
    const name = match(NAME, dollar + 2);
    if (name === null) throw new InterpolationError('"${" must be followed by a variable name');
    const after = dollar + 2 + name.length;
    if (source[after] === "}") return [plain(name), after + 1];
    const operator = match(OPERATOR, after);
    if (operator === null)
      throw new InterpolationError(`"\${${name}" is followed by something that is not an operator`);
    const last = source.lastIndexOf("}", lineEnd - 1);
    if (last < after + operator.length) throw new InterpolationError('"$" and "{" without the closing "}"');
    const closing = closingBrace(source, dollar + 1, last);
    const end = closing < 0 ? last : closing;
    const rest = source.slice(after + operator.length, end);
    const variable = lookup(name);
    const present2 = variable !== void 0 && (operator.startsWith(":") ? variable.value !== "" : true);
    switch (operator.at(-1)) {
      case "-":
        return [present2 ? use(variable) : expand(rest, depth + 1), end + 1];
      case "+":
        return [present2 ? expand(rest, depth + 1) : "", end + 1];
      default: {
        if (present2) return [use(variable), end + 1];
        const message = expand(rest, depth + 1);
        throw new InterpolationError(`the required variable ${name} is not set${message ? `: ${message}` : ""}`);
      }
    }
  };
  const result = expand(text2, 0);
  return { text: result, secret, unset };
}

// src/stack/definition/env-file.ts
var LARGEST_FILE = 1048576;
var EXPORT = /export[ \t\v\f\r]+/y;
var NAME2 = /[\p{L}\p{N}_.\-[\] \t\v\f\r\u0085\u00a0]*/uy;
var SPACE = /[ \t\v\f\r\u0085\u00a0]*/y;
var ESCAPE = /\\(?:[abcfnrtv$"\\]|0\d{0,3})/g;
var ESCAPES = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "	",
  v: "\v",
  '"': '"',
  "\\": "\\",
  $: "$$"
};
var EnvFileError = class extends Error {
};
var unescape = (text2) => text2.replace(ESCAPE, (all) => {
  if (!all.startsWith("\\0")) return ESCAPES[all[1]] ?? all;
  return /^\\0[0-3]?[0-7]{2}$/.test(all) ? String.fromCharCode(Number.parseInt(all.slice(2), 8)) : all;
});
function quoted(text2, from) {
  const quote = text2[from];
  let value = "";
  for (let at = from + 1; at < text2.length; at += 1) {
    const char = text2[at];
    if (char === quote) return { value, end: at + 1 };
    if (char === "\\" && text2[at + 1] === quote) {
      value += quote;
      at += 1;
    } else if (char === "\\" && at + 1 < text2.length) {
      value += char + text2[at + 1];
      at += 1;
    } else value += char;
  }
  return null;
}
function parseEnvFile(text2, options = {}) {
  const { lookup = () => void 0, raw = false } = options;
  const values = /* @__PURE__ */ new Map();
  const variables = (name) => lookup(name) ?? values.get(name);
  const source = text2.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  let at = 0;
  let counted = 0;
  let line = 1;
  const wrong = (problem, where) => {
    for (; counted < where; counted += 1) if (source[counted] === "\n") line += 1;
    return new EnvFileError(`line ${line} ${problem}`);
  };
  const match = (pattern, from) => {
    pattern.lastIndex = from;
    return pattern.exec(source);
  };
  const resolve7 = (written, where) => {
    try {
      const { text: value, secret, unset } = interpolate(written, variables);
      for (const name of unset) options.unset?.(name);
      return { value, secret };
    } catch (error) {
      if (error instanceof InterpolationError) throw wrong(`cannot be resolved: ${error.message}`, where);
      throw error;
    }
  };
  const put2 = (name, value) => {
    if (value !== void 0) values.set(name, value);
  };
  while (at < source.length) {
    const begun = at;
    if (/\s/.test(source[at])) {
      at += 1;
      continue;
    }
    const newline = source.indexOf("\n", at);
    const lineEnd = newline < 0 ? source.length : newline;
    if (source[at] === "#") {
      at = lineEnd;
      continue;
    }
    at += match(EXPORT, at)?.[0].length ?? 0;
    const written = match(NAME2, at)?.[0] ?? "";
    const name = written.trimEnd();
    const sign = source[at + written.length] ?? "\n";
    const signed = sign === "=" || sign === ":";
    if (name === "" || !signed && sign !== "\n")
      throw wrong(
        /[=:]/.test(source.slice(begun, lineEnd)) ? "does not begin with a variable's name and `=`" : "has no `=`",
        begun
      );
    if (/\s/.test(name)) throw wrong(signed ? "has a space in a variable's name" : "has no `=`", begun);
    at += written.length + (signed ? 1 : 0);
    if (!signed) {
      put2(name, lookup(name));
      continue;
    }
    if (raw) {
      put2(name, { value: source.slice(at, lineEnd), secret: false });
      at = lineEnd;
      continue;
    }
    at += match(SPACE, at)?.[0].length ?? 0;
    const first = source[at];
    if (first === '"' || first === "'") {
      const inner = quoted(source, at);
      if (inner === null) throw wrong(`opens a ${first} that nothing closes`, at);
      put2(name, first === "'" ? { value: inner.value, secret: false } : resolve7(unescape(inner.value), begun));
      at = inner.end;
      if (/^[ \t\v\f\r]*[^\s#]/.test(source.slice(at, Math.min(at + 256, source.length)).split("\n", 1)[0]))
        throw wrong("has text behind its closing quote", at);
    } else {
      const rest = source.slice(at, Math.max(at, lineEnd));
      const comment = rest.indexOf(" #");
      put2(name, resolve7((comment < 0 ? rest : rest.slice(0, comment)).trimEnd(), begun));
      at = Math.max(at, lineEnd);
    }
  }
  return values;
}
function readEnvFile(path, within, options = {}) {
  let text2;
  try {
    text2 = readRegularText(path, { within, maxBytes: LARGEST_FILE });
  } catch (error) {
    if (error instanceof UnsafePathError) throw new EnvFileError(`it ${error.problem}`);
    throw error;
  }
  return text2 === void 0 ? void 0 : parseEnvFile(text2, options);
}

// src/stack/definition/extends.ts
import { dirname, resolve as resolve3 } from "node:path";

// src/stack/definition/merge.ts
var mergeBudget = () => ({ left: 1e5 });
function asValues(tree) {
  if (tree.kind === "map") return tree.entries;
  const items = tree.kind === "list" ? tree.items : [tree];
  const values = /* @__PURE__ */ new Map();
  for (const item of items) {
    const text2 = textOf(item);
    if (text2 === void 0) return isNull(item) ? values : null;
    const equals = text2.indexOf("=");
    if (equals < 0) values.set(text2, scalar(item, null));
    else values.set(text2.slice(0, equals), scalar(item, text2.slice(equals + 1)));
  }
  return values;
}
var keyValues = (base, over) => {
  const [left, right] = [asValues(base), asValues(over)];
  return left === null || right === null ? over : mapping(over, new Map([...left, ...right]));
};
function asNames(tree) {
  if (tree.kind === "map") return tree.entries;
  const items = tree.kind === "list" ? tree.items : [tree];
  return new Map(items.flatMap((item) => textOf(item) === void 0 ? [] : [[textOf(item), scalar(item, null)]]));
}
var names = (base, over, path, budget) => mergeEntries(mapping(base, asNames(base)), mapping(over, asNames(over)), path, budget);
var asSequence = (tree) => tree.kind === "list" ? tree.items : tree.kind === "map" ? [...tree.entries].map(([key2, value]) => scalar(value, isNull(value) ? key2 : `${key2}=${textOf(value) ?? ""}`)) : isNull(tree) ? [] : [tree];
var appended = (base, over) => sequence(over, withoutRepeats([...asSequence(base), ...asSequence(over)]));
var replaced = (_base, over) => over;
var build = (base, over, path, budget) => {
  const wide = (tree) => tree.kind === "map" ? tree : mapping(tree, /* @__PURE__ */ new Map([["context", tree]]));
  return mergeEntries(wide(base), wide(over), path, budget);
};
var logging = (base, over, path, budget) => {
  const [left, right] = [textOf(entry(base, "driver")), textOf(entry(over, "driver"))];
  return left === right || left === void 0 || right === void 0 ? mergeEntries(base, over, path, budget) : over;
};
var ulimit = (base, over, path, budget) => base.kind === "map" && over.kind === "map" ? mergeEntries(base, over, path, budget) : over;
var RULES = {
  "services.*.annotations": keyValues,
  "services.*.build": build,
  "services.*.build.args": keyValues,
  "services.*.build.additional_contexts": keyValues,
  "services.*.build.extra_hosts": appended,
  "services.*.build.labels": keyValues,
  "services.*.command": replaced,
  "services.*.depends_on": names,
  "services.*.deploy.labels": keyValues,
  "services.*.dns": appended,
  "services.*.dns_opt": appended,
  "services.*.dns_search": appended,
  "services.*.entrypoint": replaced,
  "services.*.env_file": appended,
  "services.*.label_file": appended,
  "services.*.environment": keyValues,
  "services.*.extra_hosts": appended,
  "services.*.healthcheck.test": replaced,
  "services.*.labels": keyValues,
  "services.*.logging": logging,
  "services.*.models": names,
  "services.*.networks": names,
  "services.*.sysctls": keyValues,
  "services.*.tmpfs": appended,
  "services.*.ulimits.*": ulimit,
  "networks.*.labels": keyValues,
  "volumes.*.labels": keyValues,
  "secrets.*.labels": keyValues,
  "configs.*.labels": keyValues
};
var ruleOf = (path) => {
  const [kind2, , third, ...rest] = path;
  if (kind2 === void 0 || third === void 0) return void 0;
  const fixed = [kind2, "*", third, ...third === "ulimits" && rest.length > 0 ? ["*", ...rest.slice(1)] : rest];
  return RULES[fixed.join(".")];
};
function withoutRepeats(items) {
  const texts = /* @__PURE__ */ new Set();
  const kept = [];
  for (const item of items) {
    const text2 = item.kind === "scalar" ? `${typeof item.value} ${String(item.value)}` : null;
    if (text2 === null ? kept.some((other) => sameTree(other, item)) : texts.has(text2)) continue;
    if (text2 !== null) texts.add(text2);
    kept.push(item);
  }
  return kept;
}
function mergeEntries(base, over, path, budget) {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key2, value] of over.entries) {
    const before = entries.get(key2);
    entries.set(key2, before === void 0 ? value : merge(before, value, [...path, key2], budget));
  }
  return mapping(over, entries);
}
function merge(base, over, path, budget) {
  budget.left -= 1;
  if (budget.left < 0)
    return {
      ...scalar(over, null),
      fault: { message: "the files are too large to be merged", hint: "Remove nested anchors and aliases." }
    };
  if (over.tag !== void 0 || base.tag === "reset") return over;
  if (base.fault !== void 0) return base;
  if (over.fault !== void 0) return over;
  const rule = ruleOf(path);
  if (rule !== void 0) return isNull(over) && rule !== replaced ? base : isNull(base) ? over : rule(base, over, path, budget);
  if (isNull(over)) return base;
  if (isNull(base)) return over;
  const conflict = () => ({
    ...scalar(over, null),
    fault: {
      message: "has another form than in the file that it is merged into",
      hint: "Write it in the same form, or replace it with !override."
    }
  });
  if (base.kind === "map") return over.kind === "map" ? mergeEntries(base, over, path, budget) : conflict();
  if (base.kind === "list")
    return over.kind === "list" ? sequence(over, withoutRepeats([...base.items, ...over.items])) : conflict();
  return over;
}

// src/stack/definition/yaml-tree.ts
var import_yaml = __toESM(require_dist(), 1);

// src/stack/definition/plain-scalar.ts
var INTEGER = /^[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-f]+|0|[1-9][0-9]*)$/i;
var FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
var DATE = /^\d{4}-\d{2}-\d{2}$/;
function integer(text2) {
  const sign = text2.startsWith("-") ? "-" : "";
  const digits = text2.replace(/^[-+]/, "").toLowerCase();
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const value = BigInt(octal);
  if (value > 18446744073709551615n) return null;
  return value === 0n ? "0" : `${sign}${value}`;
}
function float(text2) {
  const value = Number(text2);
  if (value === 0) return text2.startsWith("-") ? "-0" : "0";
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 6)
    return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  return String(value);
}
function plainText(source) {
  const text2 = source.replaceAll("_", "");
  if (INTEGER.test(text2) && /^[-+\d]/.test(source)) return integer(text2) ?? float(text2);
  if (FLOAT.test(text2) && /^[-+.\d]/.test(source)) return float(text2);
  if (DATE.test(source) && !Number.isNaN(Date.parse(source))) return `${source} 00:00:00 +0000 UTC`;
  return null;
}

// src/stack/definition/yaml-tree.ts
var MOST_COPIES = 5e5;
var CORRECT = "Correct the expression, or set the variable in .env.";
var tagOf = (node) => node.tag === "!reset" ? { tag: "reset" } : node.tag === "!override" ? { tag: "override" } : {};
function keyOf(pair) {
  const { key: key2 } = pair;
  if (!(0, import_yaml.isScalar)(key2)) return null;
  if (typeof key2.value === "symbol" || key2.tag === "tag:yaml.org,2002:merge") return { name: "<<", merge: true };
  const name = String(key2.value);
  return { name, merge: name === "<<" && key2.type !== "QUOTE_DOUBLE" && key2.type !== "QUOTE_SINGLE" };
}
function toTree(document, { targets, file, unset }) {
  const done = /* @__PURE__ */ new Map();
  let copies = 0;
  const at = (node) => node?.range?.[0] ?? null;
  const fault = (node, message, hint) => ({
    kind: "scalar",
    file,
    at: at(node),
    value: null,
    fault: { message, hint }
  });
  const text2 = (node, value) => {
    const place2 = { file, at: at(node), ...tagOf(node) };
    if (!value.includes("$")) return { kind: "scalar", ...place2, value };
    try {
      const result = interpolate(value, file.lookup);
      for (const name of result.unset) unset(name);
      return { kind: "scalar", ...place2, value: result.text, ...result.secret ? { secret: true } : {} };
    } catch (error) {
      if (!(error instanceof InterpolationError)) throw error;
      return { kind: "scalar", ...place2, value: null, fault: { message: error.message, hint: CORRECT } };
    }
  };
  const entriesOf = (node) => {
    const own = /* @__PURE__ */ new Map();
    const merged = [];
    for (const pair of node.items) {
      const key2 = keyOf(pair);
      if (key2 === null) return fault(pair.key ?? node, "has a key that is not text", "Write plain keys.");
      const value = convert(pair.value);
      if (key2.merge) merged.push(...value.kind === "list" ? value.items : [value]);
      else own.set(key2.name, value);
    }
    for (const source of merged) {
      if (source.kind !== "map") {
        if (source.fault !== void 0) return source;
        if (source.kind === "scalar" && source.value === null) continue;
        return fault(node, "has a merge key `<<` whose value is not a mapping", "Merge mappings only.");
      }
      for (const [name, value] of source.entries) {
        copies += 1;
        if (copies > MOST_COPIES)
          return fault(node, "the file is too large once its aliases are resolved", "Remove nested anchors and aliases.");
        if (!own.has(name)) own.set(name, value);
      }
    }
    return own;
  };
  const make = (node) => {
    if ((0, import_yaml.isAlias)(node)) {
      const target2 = targets.get(node);
      if (target2 === "around it")
        return fault(node, `*${node.source} stands inside of what it refers to`, "Remove it.");
      if (target2 === void 0)
        return fault(node, `*${node.source} refers to an anchor that does not stand above it`, "Define it before.");
      return convert(target2);
    }
    if ((0, import_yaml.isScalar)(node)) {
      const { value } = node;
      const own = { kind: "scalar", file, at: at(node), ...tagOf(node) };
      if (value === null) return { ...own, value };
      if (typeof value === "boolean") return { ...own, value, source: String(value) };
      const plain = node.type === "PLAIN" && node.tag !== "tag:yaml.org,2002:str" ? plainText(node.source ?? "") : null;
      if (plain !== null) return { ...own, value: Number.isNaN(Number(plain)) ? plain : Number(plain), source: plain };
      if (typeof value === "string") return text2(node, value);
      if (typeof value === "number" || typeof value === "bigint") return { ...own, value, source: node.source ?? String(value) };
      return fault(node, "has a value that YAML knows and Compose does not", "Write text, a number or a boolean.");
    }
    if ((0, import_yaml.isMap)(node)) {
      const entries = entriesOf(node);
      return entries instanceof Map ? { kind: "map", file, at: at(node), entries, ...tagOf(node) } : entries;
    }
    if ((0, import_yaml.isSeq)(node))
      return { kind: "list", file, at: at(node), items: node.items.map(convert), ...tagOf(node) };
    return { kind: "scalar", file, at: at(node), value: null };
  };
  const convert = (node) => {
    const known = done.get(node);
    if (known !== void 0) return known;
    const tree = make(node);
    if (typeof node === "object" && node !== null) done.set(node, tree);
    return tree;
  };
  return convert(document.contents);
}

// src/stack/definition/model-context.ts
var modelContext = (files, problems, project, unset) => ({
  files,
  problems,
  project,
  unset,
  budget: mergeBudget()
});
function fileTrees(context, path, place2, where) {
  const file = context.files.open(path, context.problems, where);
  if (file === void 0) return void 0;
  const origin = { path, lines: file.lines, ...place2 };
  return file.documents.map(
    ({ document, targets }) => toTree(document, { targets, file: origin, unset: context.unset })
  );
}

// src/stack/definition/extends.ts
function resolveExtends(context, tree, folder, path) {
  const services = tree.entries.get("services");
  if (services?.kind !== "map") return tree;
  const bases = /* @__PURE__ */ new Map();
  const open2 = (file, lookup, where) => {
    if (bases.has(file)) return bases.get(file);
    const place2 = { folder: dirname(file), lookup };
    let model;
    for (const one of fileTrees(context, file, place2, where) ?? [])
      model = model === void 0 ? one : merge(model, one, [], context.budget);
    const written = entry(model, "services");
    const opened = written?.kind === "map" ? { written: written.entries, resolved: /* @__PURE__ */ new Map(), path: file, folder: dirname(file) } : void 0;
    if (model !== void 0 && opened === void 0)
      context.problems.invalid(where, "", `${file} has no services`, "Name a compose file that defines the service.");
    bases.set(file, opened);
    return opened;
  };
  const resolveOne = (name, of, chain) => {
    const known = of.resolved.get(name);
    if (known !== void 0) return known;
    const service = of.written.get(name);
    const reference = entry(service, "extends");
    if (service?.kind !== "map" || reference === void 0 || isNull(reference)) return service;
    const own = new Map(service.entries);
    own.delete("extends");
    const plain = mapping(service, own);
    const at = `services.${name}.extends`;
    const step = `${name} in ${of.path}`;
    if (chain.includes(step)) {
      context.problems.invalid(reference, at, `extends itself: ${[...chain, step].join(" \u2192 ")}`, "Remove one of these extends.");
      return plain;
    }
    const target2 = textOf(reference) ?? textOf(entry(reference, "service"));
    if (target2 === void 0) {
      context.problems.invalid(reference, at, "names no service", "Write { service: base }, with `file` for one of another file.");
      return plain;
    }
    const file = textOf(entry(reference, "file"));
    const from = file === void 0 ? of : open2(resolve3(of.folder, file), reference.file.lookup, reference);
    if (from === void 0) return plain;
    if (!from.written.has(target2)) {
      context.problems.invalid(
        reference,
        at,
        `extends ${target2}, which ${from.path} does not define`,
        `Services there: ${[...from.written.keys()].join(", ") || "none"}.`
      );
      return plain;
    }
    const base = resolveOne(target2, from, [...chain, step]);
    const result = base === void 0 || isNull(base) ? plain : merge(base, plain, ["services", name], context.budget);
    of.resolved.set(name, result);
    return result;
  };
  const here = { written: services.entries, resolved: /* @__PURE__ */ new Map(), path, folder };
  const entries = /* @__PURE__ */ new Map();
  for (const [name, service] of services.entries) entries.set(name, resolveOne(name, here, []) ?? service);
  return mapping(tree, new Map([...tree.entries, ["services", mapping(services, entries)]]));
}

// src/stack/definition/model.ts
var SECTIONS = ["services", "volumes", "networks", "secrets", "configs", "models", "jobs"];
var emptyMap = (like) => mapping(like, /* @__PURE__ */ new Map());
function loadModel(context, part) {
  const nothing = { path: part.files[0] ?? "", lines: null, folder: part.folder, lookup: part.lookup };
  let model = { kind: "map", file: nothing, at: null, entries: /* @__PURE__ */ new Map() };
  for (const path of part.files) {
    for (const tree of fileTrees(context, path, part) ?? []) {
      if (isNull(tree) && tree.fault === void 0) continue;
      if (tree.kind !== "map") {
        const { message, hint } = tree.fault ?? { message: "must be a mapping", hint: "Write `services:` and so on." };
        context.problems.invalid(tree, "", message, hint);
        continue;
      }
      const whole = withIncludes(context, part, tree, [...part.including, path]);
      model = merge(model, resolveExtends(context, whole, part.folder, path), [], context.budget);
    }
  }
  return model;
}
function withIncludes(context, part, tree, including) {
  const include = tree.entries.get("include");
  if (include === void 0) return tree;
  const entries = new Map(tree.entries);
  entries.delete("include");
  if (isNull(include)) return mapping(tree, entries);
  if (include.kind !== "list") {
    context.problems.invalid(include, "include", "must be a list", "Write a list of paths.");
    return mapping(tree, entries);
  }
  for (const [index, item] of include.items.entries()) {
    const imported = loadInclude(context, part, item, `include[${index}]`, including);
    if (imported === void 0) continue;
    for (const section of SECTIONS) {
      const from = imported.kind === "map" ? imported.entries.get(section) : void 0;
      if (from?.kind !== "map") continue;
      const present2 = entries.get(section);
      const own = present2?.kind === "map" ? present2 : emptyMap(from);
      const merged = new Map(from.entries);
      for (const [name, value] of own.entries) {
        const base = merged.get(name);
        merged.set(
          name,
          base === void 0 || sameTree(base, value) ? value : merge(base, value, [section, name], context.budget)
        );
      }
      entries.set(section, mapping(own, merged));
    }
  }
  return mapping(tree, entries);
}
function loadInclude(context, part, item, path, including) {
  const { problems } = context;
  const written = item.kind === "map" ? item.entries.get("path") : item;
  const paths = (written?.kind === "list" ? written.items : [written]).map(textOf);
  if (paths.length === 0 || paths.some((one) => one === void 0)) {
    problems.invalid(item, path, "names no file", "Write a path, or { path: other/compose.yaml }.");
    return void 0;
  }
  const remote = paths.find((one) => /^[a-z+]+:\/\/|^git@|\.git(?:#|$)/.test(one));
  if (remote !== void 0) {
    problems.policy(item, path, `reads a compose file from elsewhere (${remote})`, "Put a copy into the project.");
    return void 0;
  }
  const files = paths.map((one) => resolve4(part.folder, one));
  const first = files[0];
  if (including.includes(first)) {
    problems.invalid(item, path, `includes itself: ${[...including, first].join(" \u2192 ")}`, "Remove one of these includes.");
    return void 0;
  }
  const written_folder = textOf(entry(item, "project_directory"));
  const folder = written_folder === void 0 ? dirname2(first) : resolve4(part.folder, written_folder);
  const lookup = includeVariables(context, part, item, path, folder);
  for (const file of files) if (context.files.open(file, problems, item) === void 0) return void 0;
  return loadModel(context, { files, folder, lookup, including });
}
function includeVariables(context, part, item, path, folder) {
  const written = entry(item, "env_file");
  const named = (written?.kind === "list" ? written.items : [written]).flatMap((one) => textOf(one) ?? []);
  const usual = join3(folder, ".env");
  const values = /* @__PURE__ */ new Map();
  for (const file of named.length > 0 ? named.map((one) => resolve4(part.folder, one)) : [usual]) {
    if (file === "/dev/null") continue;
    try {
      const read = readEnvFile(file, context.project, {
        lookup: (name) => part.lookup(name) ?? values.get(name),
        unset: context.unset
      });
      if (read === void 0 && file !== usual)
        context.problems.invalid(item, `${path}.env_file`, `the file ${file} does not exist`, "Create it, or correct its name.");
      for (const [name, value] of read ?? []) values.set(name, value);
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : error.code ?? "unknown";
      context.problems.invalid(item, path, `the file ${file} cannot be read: ${why}`, "Correct the file.");
    }
  }
  return (name) => part.lookup(name) ?? values.get(name);
}

// src/stack/definition/yaml-depth.ts
var import_yaml2 = __toESM(require_dist(), 1);
var MOST_LEVELS = 100;
function tooDeepAt(text2) {
  const parser = new import_yaml2.Parser();
  for (const lexeme of new import_yaml2.Lexer().lex(text2)) {
    for (const _whole of parser.next(lexeme)) {
    }
    if (parser.stack.length > MOST_LEVELS) return parser.offset;
  }
  return null;
}

// src/stack/definition/node-reader.ts
var NODE_BUDGET = 5e4;
var nodeBudget = () => ({ left: NODE_BUDGET });
var below = (path, name) => {
  const part = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  return path === "" ? part : `${path}.${part}`;
};
var NodeReader = class _NodeReader {
  constructor(context, tree, path, depth = 0) {
    this.context = context;
    this.tree = tree;
    this.path = path;
    this.depth = depth;
    context.budget.left -= 1;
    if (tree.fault !== void 0) this.invalid(tree.fault.message, tree.fault.hint);
    if (depth === MOST_LEVELS) this.invalid(`nests deeper than ${MOST_LEVELS} levels`, "Write it with fewer levels.");
    if (context.budget.left === 0)
      this.invalid("the file is too large once its aliases are resolved", "Remove nested anchors and aliases.");
  }
  context;
  tree;
  path;
  depth;
  /** Nothing more is read of it: the file has become too large, or too deep. */
  get exhausted() {
    return this.context.budget.left <= 0 || this.depth >= MOST_LEVELS;
  }
  invalid(message, hint) {
    this.context.problems.invalid(this.tree, this.path, message, hint);
    return void 0;
  }
  policy(message, hint) {
    this.context.problems.policy(this.tree, this.path, message, hint);
    return void 0;
  }
  /** Absent, or `key:` without a value. */
  get empty() {
    return isNull(this.tree);
  }
  get isMap() {
    return this.tree.kind === "map";
  }
  get isList() {
    return this.tree.kind === "list";
  }
  get secret() {
    return this.tree.kind === "scalar" && this.tree.secret === true;
  }
  /** Where relative paths of its file begin. */
  get folder() {
    return this.tree.file.folder;
  }
  /** The variables of its file. */
  get lookup() {
    return this.tree.file.lookup;
  }
  /** Text, or a number or boolean as Compose prints it. */
  string(what = "text") {
    if (this.tree.fault !== void 0) return void 0;
    const text2 = textOf(this.tree);
    if (text2 === void 0) return this.invalid(`must be ${what}`, `Write ${what}.`);
    return text2.includes("\0") ? this.invalid("contains a NUL character", "Remove it.") : text2;
  }
  boolean() {
    if (this.tree.fault !== void 0) return void 0;
    const text2 = textOf(this.tree)?.toLowerCase();
    if (text2 !== void 0 && /^(?:true|yes|on|y|1|t)$/.test(text2)) return true;
    if (text2 !== void 0 && /^(?:false|no|off|n|0|f)$/.test(text2)) return false;
    return this.invalid("must be true or false", "Write true or false.");
  }
  /** A finite number in the range, both ends included. */
  number(least, most, whole = true) {
    if (this.tree.fault !== void 0) return void 0;
    const text2 = textOf(this.tree) ?? "";
    const value = /^[+-]?\d+(\.\d+)?(?:e[+-]?\d+)?$/.test(text2) ? Number(text2) : Number.NaN;
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    const range2 = `a ${whole ? "whole " : ""}number from ${least} to ${most}`;
    return this.invalid(`must be ${range2}`, `Write ${range2}.`);
  }
  oneOf(values) {
    if (this.tree.fault !== void 0) return void 0;
    const text2 = textOf(this.tree);
    const match = values.find((value) => value === text2);
    if (match !== void 0) return match;
    return this.invalid(`must be one of: ${values.join(", ")}`, `Write one of: ${values.join(", ")}.`);
  }
  list() {
    if (this.empty || this.exhausted) return [];
    if (this.tree.kind !== "list") {
      this.invalid("must be a list", "Write a list.");
      return [];
    }
    const readers = [];
    for (const [index, item] of this.tree.items.entries()) {
      if (this.exhausted) break;
      if (item.tag !== "reset") readers.push(this.#inside(item, `${this.path}[${index}]`));
    }
    return readers;
  }
  /** A list's items; a single value counts as a list of one. */
  listOrOne() {
    return this.isList || this.empty ? this.list() : [this];
  }
  strings(what = "text") {
    return this.list().flatMap((item) => item.string(what) ?? []);
  }
  /** All entries of a mapping. Absent: none. */
  entries() {
    if (this.empty || this.exhausted) return [];
    if (this.tree.kind !== "map") {
      this.invalid("must be a mapping", "Write `name: value` pairs.");
      return [];
    }
    const entries = [];
    for (const [key2, value] of this.tree.entries) {
      if (this.exhausted) break;
      if (value.tag !== "reset") entries.push([key2, this.#inside(value, below(this.path, key2))]);
    }
    return entries;
  }
  /**
   * A mapping's known keys. Others are refused, but for `x-…`; `refused` explains keys that Compose
   * knows and stackwarden does not take.
   */
  fields(known, refused2 = {}) {
    const result = {};
    for (const [key2, value] of this.entries()) {
      if (known.includes(key2)) result[key2] = value;
      else if (Object.hasOwn(refused2, key2)) value.invalid("is not supported", refused2[key2]);
      else if (!key2.startsWith("x-"))
        value.invalid(
          "is not a key that Compose has here",
          `Remove it or correct its name. Valid keys: ${known.filter((name) => !name.startsWith("x-")).join(", ")}.`
        );
    }
    return result;
  }
  /** Reports the faults of everything below, for values that are accepted without being read further. */
  check() {
    if (this.isMap) for (const [, value] of this.entries()) value.check();
    else if (this.isList) for (const item of this.list()) item.check();
  }
  #inside(tree, path) {
    return new _NodeReader(this.context, tree, path, this.depth + 1);
  }
};
var given = (reader2) => reader2 !== void 0 && !reader2.empty;

// src/stack/definition/npm-settings.ts
import { dirname as dirname3, join as join4 } from "node:path";
var CREDENTIALS = /^\s*(?:[^\s=#;]*:)?(?:_auth|_authToken|_password|key)\s*=|:\/\/[^\s/:@]+:[^\s/@]+@/im;
function npmSettingsWithSecret(manifest, folder) {
  try {
    const file = readRegularFile(join4(dirname3(manifest), ".npmrc"), { within: folder });
    return file !== void 0 && CREDENTIALS.test(file.bytes.toString("utf8")) ? file.path : null;
  } catch (error) {
    if (error instanceof UnsafePathError) return null;
    throw error;
  }
}

// src/stack/definition/problems.ts
var MOST = 20;
var place = (where) => ({
  file: where.file.path,
  line: "line" in where ? where.line : lineOf(where)
});
var Problems = class {
  #found = [];
  #seen = /* @__PURE__ */ new Set();
  invalid(where, path, message, hint) {
    this.#add({ code: "INVALID_STACK", ...place(where), path, message, hint });
  }
  /** Something an agent must not be able to get by writing it into a file. */
  policy(where, path, message, hint) {
    this.#add({ code: "POLICY_VIOLATION", ...place(where), path, message, hint });
  }
  get empty() {
    return this.#found.length === 0;
  }
  /** All problems, those of the policy first. */
  get all() {
    return [...this.#found].sort((one, other) => Number(other.code === "POLICY_VIOLATION") - Number(one.code === "POLICY_VIOLATION"));
  }
  /** @throws POLICY_VIOLATION or INVALID_STACK that names the first problem and lists up to 20 */
  throwIfAny() {
    const { all } = this;
    const [first] = all;
    if (first === void 0) return;
    const where = first.line === null ? first.file : `${first.file}:${first.line}`;
    const more = all.length - 1;
    throw new StackwardenError(
      first.code,
      `${[where, first.path, first.message].filter((part) => part !== "").join(": ")}${more > 0 ? ` (and ${more} more)` : ""}`,
      {
        hint: first.hint,
        details: { file: first.file, problems: all.slice(0, MOST), omitted: Math.max(0, more + 1 - MOST) }
      }
    );
  }
  /** One value can be read more than once, through several aliases or in several passes. */
  #add(problem) {
    const key2 = JSON.stringify([problem.file, problem.path, problem.message]);
    if (this.#seen.has(key2)) return;
    this.#seen.add(key2);
    this.#found.push(problem);
  }
};

// src/stack/definition/project-files.ts
import { dirname as dirname5, join as join7, resolve as resolve6 } from "node:path";

// src/stack/definition/built-in-stack.ts
import { existsSync as existsSync2, readFileSync } from "node:fs";
import { dirname as dirname4, join as join5 } from "node:path";
import { fileURLToPath } from "node:url";
function builtInText() {
  for (let folder = dirname4(fileURLToPath(import.meta.url)); ; folder = dirname4(folder)) {
    const file = join5(folder, "stacks", "commandcenter", "compose.yaml");
    if (existsSync2(file)) return readFileSync(file, "utf8");
    if (folder === dirname4(folder))
      throw new StackwardenError("INTERNAL", "The built-in stack's file is missing.", {
        hint: "Install stackwarden again."
      });
  }
}

// src/stack/definition/document.ts
var import_yaml3 = __toESM(require_dist(), 1);
function scan(document) {
  const anchors = /* @__PURE__ */ new Map();
  const targets = /* @__PURE__ */ new Map();
  let fault = null;
  const define = (node) => {
    if (node.anchor !== void 0) anchors.set(node.anchor, node);
  };
  (0, import_yaml3.visit)(document, {
    // The last anchor of its name above it.
    Alias(_key, alias, path) {
      const target2 = anchors.get(alias.source);
      if (target2 !== void 0) targets.set(alias, path.includes(target2) ? "around it" : target2);
    },
    Scalar: (_key, node) => define(node),
    Seq: (_key, node) => define(node),
    Map(_key, map) {
      define(map);
      const keys = /* @__PURE__ */ new Set();
      for (const { key: key2 } of map.items) {
        if (!(0, import_yaml3.isScalar)(key2)) continue;
        const name = String(key2.value);
        if (keys.has(name)) fault ??= { message: "Map keys must be unique", at: key2.range?.[0] ?? 0 };
        keys.add(name);
      }
    }
  });
  return { targets, fault };
}
function parseYaml(text2) {
  const lines = new import_yaml3.LineCounter();
  const refuse = ({ message, at }) => ({
    documents: [],
    lines,
    fault: { message: message.split("\n", 1)[0] ?? "", line: text2.slice(0, at).split("\n").length }
  });
  const deep = tooDeepAt(text2);
  if (deep !== null) return refuse({ message: `nests deeper than ${MOST_LEVELS} levels`, at: deep });
  const parsed = (0, import_yaml3.parseAllDocuments)(text2, { lineCounter: lines, version: "1.2", uniqueKeys: false, logLevel: "silent" });
  const documents = [];
  for (const document of Array.isArray(parsed) ? parsed : []) {
    const [error] = document.errors;
    if (error !== void 0) return refuse({ message: error.message, at: error.pos[0] });
    const { targets, fault } = scan(document);
    if (fault !== null) return refuse(fault);
    documents.push({ document, targets });
  }
  return { documents, lines, fault: null };
}

// src/stack/definition/variables.ts
import { join as join6 } from "node:path";

// src/stack/definition/project-path.ts
import { resolve as resolve5 } from "node:path";
var SOCKETS = /(?:docker|containerd|podman|crio|buildkitd|dagger)[^/]*\.sock|\/var\/run\/docker|\/run\/dagger/;
var isEngineSocket = (...paths) => paths.some((path) => SOCKETS.test(path) || path === "/var/run" || path === "/run");
function projectPath(reader2, text2, folder) {
  if (text2.startsWith("~")) return reader2.policy("is in a home folder", "Use a path below the project's folder.");
  const path = realPath(resolve5(reader2.folder, text2));
  if (isEngineSocket(text2, path))
    return reader2.policy(
      "reaches a container engine's socket",
      "Remove it: it would give the service the whole machine. To start the other services, leave this one out (`without`)."
    );
  if (!isBeneath(folder, path))
    return reader2.policy(`leads outside the project's folder (${text2})`, "Use a path below the project's folder.");
  return path;
}

// src/stack/definition/read-environment.ts
var SENSITIVE = /PASS(WORD|WD)?$|SECRET|TOKEN|_KEY$|^KEY$|CREDENTIAL|PRIVATE/i;
var NAME3 = /^[^=\u0000-\u001f\u007f]+$/;
var isSensitiveName = (name) => SENSITIVE.test(name);
function put(into, name, value, secret) {
  into.values[name] = value;
  if (secret || value !== "" && isSensitiveName(name)) into.secret.add(name);
  else into.secret.delete(name);
}
function readFiles(reader2, folder, own, into) {
  for (const item of reader2.listOrOne()) {
    const fields = item.isMap ? item.fields(["path", "required", "format"]) : { path: item };
    const at = fields.path ?? item;
    const text2 = at.string("a path");
    const path = text2 === void 0 ? void 0 : projectPath(at, text2, folder);
    const raw = given(fields.format) && fields.format.oneOf(["raw"]) === "raw";
    if (path === void 0) continue;
    const variable = (name) => {
      const of = Object.hasOwn(own.values, name) ? own : into;
      return item.lookup(name) ?? (Object.hasOwn(of.values, name) ? { value: of.values[name], secret: of.secret.has(name) } : void 0);
    };
    try {
      const values = readEnvFile(path, folder, { lookup: variable, raw });
      const required = given(fields.required) ? fields.required.boolean() : true;
      if (values === void 0 && required)
        item.invalid(`the file ${text2} does not exist`, "Create it, or write required: false.");
      for (const [name, { value, secret }] of values ?? []) {
        put(into, name, value, secret);
        if (into.secret.has(name)) into.privateFiles.add(path);
      }
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : error.code ?? "unknown";
      item.invalid(`the file ${text2} cannot be read: ${why}`, "Correct the file.");
    }
  }
}
var empty = () => ({
  values: /* @__PURE__ */ Object.create(null),
  secret: /* @__PURE__ */ new Set(),
  privateFiles: /* @__PURE__ */ new Set()
});
function readEnvironment(reader2, files, folder) {
  const own = empty();
  const unset = /* @__PURE__ */ new Set();
  const add = (at, name, value) => {
    unset.delete(name);
    const variable = value === void 0 ? at.lookup(name) : void 0;
    if (!NAME3.test(name))
      at.invalid(`${JSON.stringify(name.slice(0, 64))} is not a variable name`, "Use letters, digits and _.");
    else if (value !== void 0) put(own, name, value, at.secret);
    else if (variable !== void 0) put(own, name, variable.value, variable.secret);
    else {
      unset.add(name);
      delete own.values[name];
      own.secret.delete(name);
    }
  };
  if (reader2?.isList) {
    for (const item of reader2.list()) {
      const text2 = item.string("NAME=value");
      if (text2 === void 0) continue;
      const equals = text2.indexOf("=");
      if (equals < 0) add(item, text2, void 0);
      else add(item, text2.slice(0, equals), text2.slice(equals + 1));
    }
  } else if (given(reader2)) {
    for (const [name, value] of reader2.entries()) {
      const text2 = value.empty ? void 0 : value.string();
      if (value.empty && value.tree.fault === void 0 || text2 !== void 0) add(value, name, text2);
    }
  }
  const all = empty();
  if (given(files)) readFiles(files, folder, own, all);
  for (const [name, value] of Object.entries(own.values)) put(all, name, value, own.secret.has(name));
  for (const name of unset) {
    delete all.values[name];
    all.secret.delete(name);
  }
  return all;
}

// src/stack/definition/variables.ts
function projectVariables(project, folders, problems, unset) {
  for (const folder of folders) {
    const file = join6(folder, ".env");
    try {
      const values = readEnvFile(file, project, { unset });
      if (values === void 0) continue;
      for (const [name, { value, secret }] of values)
        values.set(name, { value, secret: secret || isSensitiveName(name) });
      return values;
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : error.code ?? "unknown";
      problems.invalid({ file: { path: file }, line: null }, "", `cannot be used: ${why}`, "Correct or remove the file.");
      return /* @__PURE__ */ new Map();
    }
  }
  return /* @__PURE__ */ new Map();
}

// src/stack/definition/project-files.ts
var NAMES = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
var OVERRIDES = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml"
];
var OWN = ["compose.stackwarden.yaml", "compose.stackwarden.yml"];
var BUILT_IN = "built-in:commandcenter";
var LARGEST = 1048576;
var MOST_FILES = 100;
function exists(path, folder) {
  try {
    return statBeneath(path, folder) !== void 0;
  } catch (error) {
    if (error instanceof UnsafePathError) return true;
    throw error;
  }
}
function usualFiles(folder, notes) {
  const [name, ...others] = NAMES.filter((one) => exists(join7(folder, one), folder));
  if (name === void 0) return [];
  const [override, ...more] = OVERRIDES.filter((one) => exists(join7(folder, one), folder));
  for (const other of others) notes.push(`${other} is not used: ${name} comes first.`);
  for (const other of more) notes.push(`${other} is not used: ${override} comes first.`);
  return [name, ...override === void 0 ? [] : [override]].map((one) => join7(folder, one));
}
function findFiles(folder, files, problems, unset) {
  const notes = [];
  const named = files.map((one) => resolve6(folder, one));
  const places = [.../* @__PURE__ */ new Set([...named[0] === void 0 ? [] : [dirname5(named[0])], folder])].filter((one) => isBeneath(folder, one));
  const variables = projectVariables(folder, places, problems, unset);
  const envFile = places.map((one) => join7(one, ".env")).find((one) => exists(one, folder));
  const separator = variables.get("COMPOSE_PATH_SEPARATOR")?.value || ":";
  const fromEnv = (variables.get("COMPOSE_FILE")?.value ?? "").split(separator).filter((one) => one.trim() !== "");
  const chosen = named.length > 0 ? named : fromEnv.length > 0 ? fromEnv.map((one) => resolve6(folder, one)) : usualFiles(folder, notes);
  const first = chosen[0] === void 0 ? folder : dirname5(chosen[0]);
  const own = [.../* @__PURE__ */ new Set([first, folder])].flatMap((place2) => OWN.map((one) => join7(place2, one))).find((one) => exists(one, folder));
  if (own !== void 0 && !chosen.includes(own)) chosen.push(own);
  const common = { notes, variables, ...envFile === void 0 ? {} : { envFile } };
  if (chosen.length === 0) return { files: [BUILT_IN], folder, builtIn: true, ...common };
  return { files: chosen, folder: first, builtIn: false, ...common };
}
var FileReader = class {
  /** @param folder the project's, real */
  constructor(folder) {
    this.folder = folder;
  }
  folder;
  #files = /* @__PURE__ */ new Map();
  /** Every file that was read. */
  get read() {
    return [...this.#files.values()].filter((file) => file !== null);
  }
  /** Undefined: it cannot be used, and the problem is recorded. `where` names it; undefined: the caller does. */
  open(path, problems, where) {
    const refuse = (message, hint) => {
      problems.invalid(where ?? { file: { path }, line: null }, "", message, hint);
      return void 0;
    };
    const known = this.#files.get(path);
    if (known === void 0) {
      if (this.#files.size >= MOST_FILES)
        return refuse(`the project has more than ${MOST_FILES} compose files`, "Include fewer files.");
      let text2;
      try {
        text2 = path === BUILT_IN ? builtInText() : readRegularText(path, { within: this.folder, maxBytes: LARGEST });
      } catch (error) {
        if (!(error instanceof UnsafePathError)) throw error;
        if (error.reason !== "outside") return refuse(`the compose file ${path} ${error.problem}`, error.hint);
        problems.policy(
          where ?? { file: { path }, line: null },
          "",
          `the compose file ${path} leads outside the project's folder`,
          "Put the file itself into the project's folder."
        );
        return void 0;
      }
      if (text2 === void 0) return refuse(`the compose file ${path} does not exist`, "Correct its name, or create it.");
      this.#files.set(path, { path, text: text2, ...parseYaml(text2) });
    }
    const file = this.#files.get(path) ?? void 0;
    if (file?.fault == null) return file;
    problems.invalid({ file: { path }, line: file.fault.line }, "", file.fault.message, "Correct the YAML.");
    return void 0;
  }
};

// src/stack/definition/read-configs.ts
var LARGEST2 = 1048576;
function readConfigs(reader2, folder, used) {
  const contents = /* @__PURE__ */ Object.create(null);
  const declared = /* @__PURE__ */ new Set();
  const secret = [];
  for (const [name, value] of given(reader2) ? reader2.entries() : []) {
    declared.add(name);
    if (!used.has(name)) continue;
    const fields = value.fields(["name", "content", "environment", "file", "external", "labels", "template_driver"]);
    if (given(fields.content)) contents[name] = Buffer.from(fields.content.string() ?? "");
    else if (given(fields.environment)) {
      const variable = fields.environment.string("a variable's name") ?? "";
      const found = value.lookup(variable);
      if (found === void 0) fields.environment.invalid(`needs ${variable}, which is not set`, "Set it in .env.");
      else contents[name] = Buffer.from(found.value);
      if (found?.secret) secret.push(found.value);
    } else if (given(fields.file)) {
      const text2 = fields.file.string("a path");
      const path = text2 === void 0 ? void 0 : projectPath(fields.file, text2, folder);
      if (path === void 0) continue;
      try {
        const bytes = readRegularFile(path, { within: folder, maxBytes: LARGEST2 })?.bytes;
        if (bytes === void 0) fields.file.invalid(`${text2} does not exist`, "Create the file below the project.");
        else contents[name] = bytes;
      } catch (error) {
        if (!(error instanceof UnsafePathError)) throw error;
        fields.file.invalid(`${text2} cannot be used: it ${error.problem}`, error.hint);
      }
    } else if (given(fields.external)) contents[name] = Buffer.alloc(0);
    else value.invalid("has no source", "Give `file`, `content` or `environment`.");
  }
  return { contents, declared, secret };
}

// src/stack/definition/read-networks.ts
import { isIP } from "node:net";
var NETWORK_KEYS = [
  "aliases",
  "interface_name",
  "ipv4_address",
  "ipv6_address",
  "link_local_ips",
  "mac_address",
  "driver_opts",
  "priority",
  "gw_priority",
  "use_service_name_alias"
];
function readAttachments(reader2) {
  if (!given(reader2)) return void 0;
  const networks = /* @__PURE__ */ Object.create(null);
  if (reader2.isList) for (const name of reader2.strings("a network's name")) networks[name] = { aliases: [] };
  else
    for (const [name, value] of reader2.entries()) {
      const fields = value.fields(NETWORK_KEYS);
      const text2 = (field) => given(field) ? field.string() : void 0;
      const [ipv4Address, ipv6Address] = [text2(fields.ipv4_address), text2(fields.ipv6_address)];
      networks[name] = {
        aliases: given(fields.aliases) ? fields.aliases.strings("a name") : [],
        ...ipv4Address === void 0 ? {} : { ipv4Address },
        ...ipv6Address === void 0 ? {} : { ipv6Address }
      };
    }
  return Object.keys(networks).length === 0 ? void 0 : networks;
}
function readNetworks(reader2) {
  const networks = /* @__PURE__ */ Object.create(null);
  for (const [name, value] of given(reader2) ? reader2.entries() : []) {
    const fields = value.fields([
      "name",
      "driver",
      "driver_opts",
      "ipam",
      "external",
      "internal",
      "enable_ipv4",
      "enable_ipv6",
      "attachable",
      "labels"
    ]);
    networks[name] = {
      internal: given(fields.internal) && fields.internal.boolean() === true,
      external: given(fields.external) && (fields.external.isMap || fields.external.boolean() === true)
    };
  }
  return networks;
}
function readLinks(reader2) {
  const links = /* @__PURE__ */ Object.create(null);
  for (const text2 of reader2?.strings("a service's name") ?? []) {
    const [service = "", alias = service] = text2.split(":");
    links[alias] = service;
  }
  return links;
}
function readExtraHosts(reader2) {
  const hosts = /* @__PURE__ */ Object.create(null);
  const add = (at, name, address) => {
    const bare = address.replace(/^\[(.*)\]$/, "$1");
    if (name === "" || isIP(bare) === 0 && bare !== "host-gateway")
      at.invalid("is not a name and an address", 'Write "name=10.0.0.1" or "name=host-gateway".');
    else hosts[name] = [...hosts[name] ?? [], bare];
  };
  if (reader2?.isList)
    for (const item of reader2.list()) {
      const text2 = item.string("name=address") ?? "";
      const [, name = "", address = ""] = /^([^=:]+)[=:](.+)$/.exec(text2) ?? [];
      add(item, name, address);
    }
  else
    for (const [name, value] of given(reader2) ? reader2.entries() : [])
      for (const item of value.listOrOne()) add(item, name, item.string("an address") ?? "");
  return hosts;
}

// src/stack/definition/read-secrets.ts
import { isUtf8 } from "node:buffer";
function readSecretSources(reader2, folder) {
  if (!given(reader2)) return [];
  return reader2.entries().map(([name, value]) => {
    const fields = value.fields([
      "environment",
      "file",
      "name",
      "external",
      "labels",
      "driver",
      "driver_opts",
      "template_driver",
      "x-generate"
    ]);
    const external = given(fields.external) && (fields.external.isMap || fields.external.boolean() === true);
    const variable = given(fields.environment) ? fields.environment.string("a variable's name") : void 0;
    const written = given(fields.file) ? fields.file.string("a path") : void 0;
    const file = written === void 0 ? void 0 : projectPath(fields.file, written, folder);
    const generate = given(fields["x-generate"]) && fields["x-generate"].boolean() === true;
    if (variable === void 0 && written === void 0 && !generate && !external)
      value.invalid("has no source", "Give `environment`, `file`, or `x-generate: true`.");
    return {
      name,
      generate,
      external,
      reader: value,
      // What an external store would give can be set in .env under the secret's name.
      ...variable === void 0 ? external ? { variable: name } : {} : { variable },
      ...file === void 0 ? {} : { file }
    };
  });
}
var MAX_SECRET_BYTES = 512e3;
function readContent(file, folder, reader2) {
  try {
    const bytes = readRegularFile(file, { within: folder, maxBytes: MAX_SECRET_BYTES })?.bytes;
    if (bytes === void 0)
      return reader2.invalid("names a file that does not exist", "Create the file below the project.");
    return isUtf8(bytes) ? bytes.toString("utf8").replace(/\r?\n$/, "") : bytes;
  } catch (error) {
    if (!(error instanceof UnsafePathError)) throw error;
    return reader2.invalid(`names a file that cannot be used: it ${error.problem}`, error.hint);
  }
}
async function resolveSecrets(sources, folder, variables, make) {
  const text2 = /* @__PURE__ */ Object.create(null);
  const binary = /* @__PURE__ */ Object.create(null);
  for (const { name, variable, generate, file, external, reader: reader2 } of sources) {
    const present2 = variable === void 0 ? void 0 : variables.get(variable)?.value;
    if (present2 !== void 0 && present2 !== "") text2[name] = present2;
    else if (file !== void 0) {
      const content = readContent(file, folder, reader2);
      if (typeof content === "string") text2[name] = content;
      else if (content !== void 0) binary[name] = content;
    } else if (generate) text2[name] = await make(name);
    else if (variable !== void 0 && !external)
      reader2.invalid(`needs ${variable}, which is not set`, "Set it in .env, or write x-generate: true.");
    if (variable !== void 0 && text2[name] !== void 0) variables.set(variable, { value: text2[name], secret: true });
  }
  return { text: text2, binary };
}

// src/stack/definition/policy.ts
var REMOVE = "Remove it, or start the other services without this one (`without`). Stackwarden does not run services that can reach beyond their own stack.";
var DEFAULT_CAPABILITIES = new Set(
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split(
    " "
  )
);
var OWN_SYSCTL = /^(?:net\.|kernel\.(?:shm\w+|msg\w+|sem)$|fs\.mqueue\.)/;
var FORBIDDEN = {
  privileged: { means: "gives the service the whole machine", harmless: (text2) => text2 === "false" },
  devices: { means: "gives the service the machine's devices", harmless: (text2) => text2 === "" },
  device_cgroup_rules: { means: "gives the service the machine's devices", harmless: (text2) => text2 === "" },
  gpus: { means: "gives the service the machine's devices", harmless: (text2) => text2 === "" },
  network_mode: {
    means: "leaves the stack's own network",
    harmless: (text2) => ["", "bridge", "default", "none"].includes(text2)
  },
  pid: { means: "shares another process namespace", harmless: (text2) => text2 === "" || text2 === "private" },
  ipc: {
    means: "shares another IPC namespace",
    harmless: (text2) => ["", "private", "none", "shareable"].includes(text2)
  },
  uts: { means: "shares the machine's host name", harmless: (text2) => text2 === "" },
  userns_mode: { means: "leaves the user namespace", harmless: (text2) => text2 === "" || text2 === "private" },
  cgroup: { means: "shares the machine's control groups", harmless: (text2) => text2 === "" || text2 === "private" },
  cgroup_parent: { means: "leaves the stack's control group", harmless: (text2) => text2 === "" },
  volumes_from: { means: "takes another container's volumes", harmless: (text2) => text2 === "" },
  external_links: { means: "reaches containers of other stacks", harmless: (text2) => text2 === "" },
  use_api_socket: { means: "reaches the container engine's socket", harmless: (text2) => text2 === "false" },
  runtime: { means: "chooses another container runtime", harmless: (text2) => text2 === "" || text2 === "runc" }
};
var POLICY_KEYS = [
  ...Object.keys(FORBIDDEN),
  "security_opt",
  "cap_add",
  "cap_drop",
  "sysctls"
];
var text = (reader2) => {
  if (reader2.empty) return "";
  if (reader2.isList) return reader2.list().length === 0 ? "" : "list";
  if (reader2.isMap) return reader2.entries().length === 0 ? "" : "map";
  return reader2.string() ?? "";
};
function pairs(reader2) {
  if (reader2.isMap) return reader2.entries().map(([name, value]) => [name, value.string() ?? "", value]);
  return reader2.list().map((item) => {
    const [name = "", value = ""] = (item.string("name=value") ?? "").split(/=(.*)/s);
    return [name, value, item];
  });
}
function checkPolicy(key2, reader2) {
  if (key2 === "cap_drop") return;
  if (key2 === "cap_add") {
    for (const item of reader2.list()) {
      const name = (item.string("a capability") ?? "").toUpperCase().replace(/^CAP_/, "");
      if (!DEFAULT_CAPABILITIES.has(name)) item.policy(`adds the kernel capability ${name}`, REMOVE);
    }
    return;
  }
  if (key2 === "sysctls") {
    for (const [name, , at] of pairs(reader2))
      if (!OWN_SYSCTL.test(name)) at.policy(`${name} is a kernel parameter of the whole machine`, REMOVE);
    return;
  }
  if (key2 === "security_opt") {
    for (const option of reader2.strings("an option"))
      if (!/^(?:no-new-privileges(?:[:=]true)?|apparmor[:=]docker-default)$/.test(option))
        reader2.policy(`${option} weakens the service's isolation`, REMOVE);
    return;
  }
  const rule = FORBIDDEN[key2];
  if (rule !== void 0 && !rule.harmless(text(reader2))) reader2.policy(rule.means, REMOVE);
}
var readSysctls = (reader2) => Object.fromEntries(
  (reader2 === void 0 || reader2.empty ? [] : pairs(reader2)).map(([name, value]) => [name, value])
);
var isRoot = (user) => /^(?:root|0+)?(?::.*)?$/.test(user.trim());
function checkUser(reader2, user, allowed) {
  if (isRoot(user) && !allowed)
    reader2.policy(
      "runs the service as root",
      "Give another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root."
    );
}

// src/stack/definition/read-build.ts
var KEYS = [
  "context",
  "dockerfile",
  "dockerfile_inline",
  "entitlements",
  "args",
  "ssh",
  "labels",
  "cache_from",
  "cache_to",
  "no_cache",
  "no_cache_filter",
  "additional_contexts",
  "network",
  "provenance",
  "sbom",
  "pull",
  "target",
  "shm_size",
  "extra_hosts",
  "isolation",
  "privileged",
  "secrets",
  "tags",
  "ulimits",
  "platforms"
];
var FORBIDDEN2 = {
  ssh: "gives the build the user's SSH keys",
  entitlements: "gives the build rights of the machine",
  privileged: "gives the build the whole machine"
};
var REMOTE = /^(?:[a-z][a-z0-9+.-]*:\/\/|git@|github\.com\/)/;
function checkForbidden(fields) {
  for (const [key2, means] of Object.entries(FORBIDDEN2)) {
    const reader2 = fields[key2];
    if (!given(reader2)) continue;
    const harmless = reader2.isList || reader2.isMap ? reader2.isList && reader2.list().length === 0 : reader2.string() === "false";
    if (!harmless) reader2.policy(means, "Remove it: a build here reaches nothing of this machine.");
  }
}
function readBuild(reader2, folder) {
  const fields = reader2.isMap ? reader2.fields(KEYS) : { context: reader2 };
  checkForbidden(fields);
  const at = given(fields.context) ? fields.context : reader2;
  const written = given(fields.context) ? fields.context.string("a path") : ".";
  if (written === void 0) return void 0;
  if (REMOTE.test(written))
    return at.policy(`builds from elsewhere (${written})`, "Put a copy of the sources into the project.");
  const context = projectPath(at, written, folder);
  if (context === void 0) return void 0;
  const { values: args } = readEnvironment(fields.args, void 0, folder);
  const dockerfile = given(fields.dockerfile) ? fields.dockerfile.string("a path") : void 0;
  const inline = given(fields.dockerfile_inline) ? fields.dockerfile_inline.string("a Dockerfile") : void 0;
  const target2 = given(fields.target) ? fields.target.string() : void 0;
  if (dockerfile !== void 0 && inline !== void 0)
    return fields.dockerfile_inline?.invalid("and dockerfile exclude each other", "Remove one of them.");
  if (dockerfile !== void 0 && projectPath(fields.dockerfile, dockerfile.startsWith("/") ? dockerfile : `${context}/${dockerfile}`, folder) === void 0)
    return void 0;
  const { values: labels } = readEnvironment(fields.labels, void 0, folder);
  const flag = (field) => given(field) && field.boolean() === true;
  return {
    context,
    args,
    ...dockerfile === void 0 ? {} : { dockerfile },
    ...inline === void 0 ? {} : { dockerfileInline: inline },
    ...target2 === void 0 || target2 === "" ? {} : { target: target2 },
    ...Object.keys(labels).length === 0 ? {} : { labels },
    ...flag(fields.no_cache) ? { noCache: true } : {},
    ...flag(fields.pull) ? { pull: true } : {}
  };
}

// src/stack/definition/read-command.ts
var SPACE2 = /[ \t\r\n]/;
function splitCommand(text2) {
  const words = [];
  let word = "";
  let begun = false;
  let quote = null;
  let back = false;
  let dollar = false;
  let dropped = "";
  for (let at = 0; at < text2.length; at += 1) {
    let char = text2[at];
    if (char === "\\" && quote !== "'") {
      at += 1;
      if (at >= text2.length) return null;
      char = text2[at];
      word += char;
      begun = true;
      continue;
    }
    const open2 = quote !== null || back || dollar;
    if (SPACE2.test(char)) {
      if (open2) word += char;
      else if (begun) {
        words.push(word);
        word = "";
        begun = false;
      }
      continue;
    }
    if (char === "`" && quote === null && !dollar) back = !back;
    else if (char === ")" && quote === null && !back) dollar = !dollar;
    else if (char === "(" && quote === null && !back) {
      if (dollar || !word.endsWith("$")) return null;
      dollar = true;
      word += char;
      continue;
    } else if ((char === '"' || char === "'") && (quote === null || quote === char) && !dollar) {
      if (quote !== null) begun = true;
      quote = quote === null ? char : null;
      continue;
    } else if (/[;&|<>]/.test(char) && !open2) {
      dropped = text2.slice(at).trim();
      if (char === ">" && /^\d/.test(word)) begun = false;
      break;
    }
    word += char;
    begun = true;
  }
  if (quote !== null || back || dollar) return null;
  return { words: begun ? [...words, word] : words, dropped };
}
function readCommand(reader2, note) {
  if (!given(reader2)) return void 0;
  if (reader2.isList) return reader2.strings("an argument");
  const text2 = reader2.string("a command");
  if (text2 === void 0) return void 0;
  const split = splitCommand(text2);
  if (split === null)
    return reader2.invalid("has a quote that is not closed", 'Write a list: ["program", "argument"].');
  if (split.dropped !== "")
    note?.(
      `${reader2.path}: a command is not read by a shell; as in Compose, everything from ${JSON.stringify(split.dropped.slice(0, 40))} on is dropped. Write ["sh", "-c", "\u2026"].`
    );
  return split.words;
}

// src/stack/definition/read-dependencies.ts
function readDependencies(reader2, links = {}) {
  const dependencies = /* @__PURE__ */ Object.create(null);
  const plain = { condition: "service_started", restart: false, required: true };
  if (reader2?.isList) for (const name of reader2.strings("a service's name")) dependencies[name] = { ...plain };
  else
    for (const [name, value] of given(reader2) ? reader2.entries() : []) {
      const { condition, restart, required } = value.fields(["condition", "restart", "required"]);
      dependencies[name] = {
        condition: condition?.oneOf(["service_started", "service_healthy", "service_completed_successfully"]) ?? plain.condition,
        restart: given(restart) ? restart.boolean() ?? false : false,
        required: given(required) ? required.boolean() ?? true : true
      };
    }
  for (const service of Object.values(links)) dependencies[service] ??= { ...plain, restart: true };
  return dependencies;
}

// src/stack/definition/read-files.ts
function parseMode(text2) {
  const octal = /^(?:0o?)?([0-7]{3,4})$/.exec(text2)?.[1];
  if (octal !== void 0) return Number.parseInt(octal, 8);
  return /^\d{1,4}$/.test(text2) && Number(text2) <= 4095 ? Number(text2) : null;
}
function owner(reader2) {
  return given(reader2) ? reader2.number(0, 4294967294) : void 0;
}
function modeOf(reader2) {
  if (!given(reader2)) return void 0;
  const { tree } = reader2;
  if (tree.kind === "scalar" && typeof tree.value === "number") {
    if (Number.isInteger(tree.value) && tree.value >= 0 && tree.value <= 4095) return tree.value;
  } else {
    const text2 = reader2.string("a mode") ?? "";
    if (/^0?o?[0-7]{1,4}$/.test(text2)) return Number.parseInt(text2.replace("o", ""), 8);
  }
  return reader2.invalid("must be permission bits", 'Write octal digits, as in "0440".');
}
function readFileMounts(reader2, kind2) {
  const files = /* @__PURE__ */ new Map();
  for (const item of reader2?.list() ?? []) {
    const fields = item.isMap ? item.fields(["source", "target", "uid", "gid", "mode"]) : { source: item };
    const source = (fields.source ?? item).string(`a ${kind2}'s name`);
    const written = given(fields.target) ? fields.target.string("a path") : source;
    if (source === void 0 || written === void 0) continue;
    const target2 = kind2 === "secret" ? written.replace(/^\/run\/secrets\/(?=[^/]+$)/, "") : written.startsWith("/") ? written : `/${written}`;
    if (target2.split("/").includes("..") || target2.endsWith("/") || /^[.]{1,2}$/.test(target2)) {
      item.invalid("has a target that is not a file's path", "Write a plain name, or an absolute path without `..`.");
      continue;
    }
    const [uid, gid, mode] = [owner(fields.uid), owner(fields.gid), modeOf(fields.mode)];
    files.set(target2, {
      source,
      target: target2.startsWith("/") || !target2.includes("/") ? target2 : `/run/secrets/${target2}`,
      ...uid === void 0 ? {} : { uid },
      ...gid === void 0 ? {} : { gid },
      ...mode === void 0 ? {} : { mode }
    });
  }
  return [...files.values()];
}

// src/stack/definition/units.ts
var UNIT_MS = { us: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5 };
function parseDuration(text2) {
  if (text2 === "0") return 0;
  if (text2.length > 64 || !/^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/.test(text2)) return null;
  let total = 0;
  for (const [, amount, unit] of text2.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g))
    total += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  return Number.isFinite(total) ? Math.round(total) : null;
}
var POWER = { "": 0, b: 0, k: 1, m: 2, g: 3, t: 4 };
function parseBytes(value) {
  const found = /^(\d+(?:\.\d+)?)\s*(b|[kmgt]b?)?$/i.exec(String(value));
  if (found === null) return null;
  const power = POWER[(found[2] ?? "").toLowerCase().slice(0, 1)];
  const bytes = Number(found[1]) * 1024 ** (power ?? Number.NaN);
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : null;
}
var toMegabytes = (bytes) => bytes / 1048576;

// src/stack/definition/read-healthcheck.ts
var DEFAULTS = { intervalMs: 3e4, timeoutMs: 3e4, retries: 3, startPeriodMs: 0, startIntervalMs: 5e3 };
var SHORTEST_MS = 100;
var LONGEST_MS = 24 * 36e5;
function readDuration(reader2, least) {
  if (!given(reader2)) return void 0;
  const text2 = reader2.string("a duration");
  if (text2 === void 0) return void 0;
  const ms = parseDuration(text2);
  if (ms === null || ms < least || ms > LONGEST_MS)
    return reader2.invalid(`must be a duration from ${least} ms to 24 h`, "Write it as in 500ms, 10s or 1m30s.");
  return ms;
}
function readTest(reader2) {
  if (!reader2.isList) {
    const command = reader2.string("a command");
    return command === void 0 ? void 0 : { kind: "cmd-shell", command };
  }
  const [kind2, ...rest] = reader2.strings();
  if (kind2 === void 0) return void 0;
  if (kind2 === "NONE" && rest.length === 0) return { kind: "none" };
  if (kind2 === "CMD" && rest.length > 0) return { kind: "cmd", argv: rest };
  if (kind2 === "CMD-SHELL" && rest.length === 1) return { kind: "cmd-shell", command: rest[0] };
  return reader2.invalid(
    "is not a healthcheck test",
    'Write ["CMD", "program", "argument"], ["CMD-SHELL", "command"] or ["NONE"].'
  );
}
function readProbe(reader2) {
  const { type, port: port2, path, status } = reader2.fields(["type", "port", "path", "status"]);
  if (type === void 0) return reader2.invalid("has no type", "Give `type`: http, tcp, postgres or redis.");
  const kind2 = type.oneOf(["http", "tcp", "postgres", "redis"]);
  if (kind2 === void 0) return void 0;
  if (kind2 === "postgres" || kind2 === "redis") return { kind: kind2 };
  if (port2 === void 0) return reader2.invalid("has no port", "Give `port`, the port inside the service.");
  const number = port2.number(1, 65535);
  if (number === void 0) return void 0;
  if (kind2 === "tcp") return { kind: kind2, port: number };
  const at = path === void 0 ? "/" : path.string("a path");
  const expected = status === void 0 ? 200 : status.number(100, 599);
  if (at === void 0 || expected === void 0) return void 0;
  if (!/^\/[\x21-\x7e]*$/.test(at)) return path?.invalid("must be an absolute URL path", "Write it as in /health.");
  return { kind: kind2, port: number, path: at, status: expected };
}
function readHealthcheck(reader2) {
  const fields = reader2.fields([
    "test",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "start_interval",
    "disable",
    "x-probe"
  ]);
  const probe = given(fields["x-probe"]) ? readProbe(fields["x-probe"]) : void 0;
  const written = given(fields.test) ? readTest(fields.test) : void 0;
  const disabled = given(fields.disable) && fields.disable.boolean() === true;
  const test = disabled ? { kind: "none" } : probe ?? written;
  const retries = given(fields.retries) ? fields.retries.number(0, 1e3) : void 0;
  const timings = {
    // Zero means the default, as in the container engine.
    intervalMs: readDuration(fields.interval, 0) || DEFAULTS.intervalMs,
    timeoutMs: readDuration(fields.timeout, 0) || DEFAULTS.timeoutMs,
    retries: retries || DEFAULTS.retries,
    startPeriodMs: readDuration(fields.start_period, 0) ?? DEFAULTS.startPeriodMs,
    startIntervalMs: readDuration(fields.start_interval, 0) || DEFAULTS.startIntervalMs
  };
  for (const key2 of ["intervalMs", "startIntervalMs"]) timings[key2] = Math.max(timings[key2], SHORTEST_MS);
  if (test === void 0) return { timings };
  return {
    healthcheck: { test, ...test === probe && written !== void 0 ? { command: written } : {}, ...timings }
  };
}

// src/stack/definition/read-labels.ts
function readLabels(reader2) {
  const labels = /* @__PURE__ */ Object.create(null);
  if (!given(reader2)) return labels;
  if (reader2.isList)
    for (const text2 of reader2.strings()) {
      const [name = "", value = ""] = text2.split(/=(.*)/s);
      labels[name] = value;
    }
  else for (const [name, value] of reader2.entries()) labels[name] = value.empty ? "" : value.string() ?? "";
  return labels;
}
function readLabelFiles(reader2, folder) {
  const labels = /* @__PURE__ */ Object.create(null);
  for (const item of reader2?.listOrOne() ?? []) {
    const text2 = item.string("a path");
    const path = text2 === void 0 ? void 0 : projectPath(item, text2, folder);
    if (path === void 0) continue;
    try {
      const values = readEnvFile(path, folder, { lookup: item.lookup });
      if (values === void 0) item.invalid(`the file ${text2} does not exist`, "Create it, or correct its name.");
      for (const [name, { value }] of values ?? []) labels[name] = value;
    } catch (error) {
      const why = error instanceof EnvFileError ? error.message : error.code ?? "unknown";
      item.invalid(`the file ${text2} cannot be read: ${why}`, "Correct the file.");
    }
  }
  return labels;
}

// src/stack/definition/read-limits.ts
var MOST_CPUS = 4096;
var LEAST_MB = 6;
function memory(reader2) {
  if (!given(reader2)) return void 0;
  const text2 = reader2.string("a size") ?? "";
  if (text2 === "0" || text2 === "-1") return void 0;
  const bytes = parseBytes(text2);
  if (bytes !== null && toMegabytes(bytes) >= LEAST_MB) return toMegabytes(bytes);
  return reader2.invalid(`must be a size of at least ${LEAST_MB} MB`, "Write it as in 512m or 1g.");
}
var limits = (cpus2, memory_mb, pids2) => ({
  ...cpus2 === void 0 ? {} : { cpus: cpus2 },
  ...memory_mb === void 0 ? {} : { memory_mb },
  ...pids2 === void 0 ? {} : { pids: pids2 }
});
var cpus = (reader2) => {
  if (!given(reader2) || Number(reader2.string()) === 0) return void 0;
  return reader2.number(0.01, MOST_CPUS, false);
};
function pids(reader2) {
  if (!given(reader2) || /^(?:-1|0)$/.test(reader2.string() ?? "")) return void 0;
  return reader2.number(1, 4194304);
}
var PERIOD_US = 1e5;
function quota(written, period) {
  if (!given(written)) return void 0;
  const each = given(period) ? period.number(1e3, 1e6) : PERIOD_US;
  const text2 = written.string() ?? "";
  if (each === void 0 || /^(?:-1|0)$/.test(text2)) return void 0;
  const us = written.number(1e3, MOST_CPUS * PERIOD_US * 10);
  return us === void 0 ? void 0 : us / each;
}
var resources = (reader2) => {
  if (!given(reader2)) return {};
  const fields = reader2.fields(["cpus", "memory", "pids", "devices", "generic_resources"]);
  if (given(fields.devices) && fields.devices.list().length > 0)
    fields.devices.policy(
      "gives the service the machine's devices",
      "Remove it, or start the other services without this one (`without`)."
    );
  return limits(cpus(fields.cpus), memory(fields.memory), pids(fields.pids));
};
function readLimits(own, found) {
  const direct = limits(cpus(own.cpus) ?? quota(own.cpu_quota, own.cpu_period), memory(own.mem_limit), pids(own.pids_limit));
  const reserved = limits(void 0, memory(own.mem_reservation), void 0);
  const parts = given(found) ? found.fields(["limits", "reservations"]) : {};
  return {
    limits: { ...resources(parts.limits), ...direct },
    reservations: { ...resources(parts.reservations), ...reserved }
  };
}

// src/stack/definition/read-local.ts
var PROVIDERS = [
  [/^postgres(?:ql)?$/, "postgres"],
  [/^(?:redis|valkey)$/, "redis"]
];
function providerOf(image) {
  const name = image?.split("@")[0]?.split("/").at(-1)?.split(":")[0] ?? "";
  return PROVIDERS.find(([pattern]) => pattern.test(name))?.[1];
}
function readLocal(reader2, image, folder) {
  const byImage = providerOf(image);
  if (!given(reader2)) return byImage === void 0 ? void 0 : { provider: byImage, environment: {} };
  const fields = reader2.fields(["provider", "command", "working_dir", "install", "environment"]);
  const command = readCommand(fields.command);
  const provider = given(fields.provider) ? fields.provider.oneOf(["postgres", "redis"]) : command === void 0 ? byImage : void 0;
  const at = fields.working_dir?.string("a path");
  const workingDir = at === void 0 ? void 0 : projectPath(fields.working_dir, at, folder);
  const { values } = readEnvironment(fields.environment, void 0, folder);
  let install;
  if (given(fields.install)) {
    const parts = fields.install.fields(["kind", "manifest"]);
    const kind2 = parts.kind?.oneOf(["python", "node"]);
    const written = parts.manifest?.string("a path");
    if (kind2 === void 0 || written === void 0)
      fields.install.invalid("needs kind and manifest", "Write { kind: python, manifest: requirements.txt }.");
    else {
      const manifest = projectPath(fields.install, written, folder);
      if (manifest !== void 0) install = { kind: kind2, manifest };
    }
  }
  return {
    environment: values,
    ...provider === void 0 ? {} : { provider },
    ...command === void 0 ? {} : { command },
    ...workingDir === void 0 ? {} : { workingDir },
    ...install === void 0 ? {} : { install }
  };
}

// src/stack/definition/read-mounts.ts
import { posix } from "node:path";
var VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
var HARMLESS = /* @__PURE__ */ new Set(["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"]);
var OPTIONS = /* @__PURE__ */ new Set(["ro", "rw", "nocopy", "copy", "z", "Z", "cached", "delegated", "consistent"]);
var PROPAGATION = /* @__PURE__ */ new Set(["rprivate", "private", "rshared", "shared", "rslave", "slave"]);
var isPath = (text2) => /^(?:\.|\/|~|[A-Za-z]:[\\/]|\\\\)/.test(text2);
function target(reader2, text2) {
  if (text2?.startsWith("/") && !text2.split("/").includes("..")) {
    const clean = posix.normalize(text2).replace(/(?<=.)\/$/, "");
    if (clean !== "/") return clean;
  }
  return reader2.invalid("has no absolute path inside the service", "Write it as in data:/var/lib/data.");
}
function bind(reader2, text2, to, options, context) {
  const { allowBinds, folder, note } = context;
  if (HARMLESS.has(text2.replace(/\/$/, ""))) {
    note(`${reader2.path}: ${text2} is not mounted: a container has its own.`);
    return void 0;
  }
  const path = realPath(posix.resolve(reader2.folder, text2));
  const open2 = text2.startsWith("~") || isEngineSocket(text2, path) || isBeneath(folder, path) ? void 0 : allowBinds.find((one) => isBeneath(realPath(one.replace(/:rw$/, "")), path));
  if (open2 !== void 0) {
    const readOnly = options.readOnly || !open2.endsWith(":rw");
    if (readOnly && !options.readOnly)
      note(`${reader2.path}: ${text2} is mounted read-only, as the operator's allow_binds says.`);
    return { type: "bind", source: path, target: to, ...options, readOnly, outside: true };
  }
  const inside = projectPath(reader2, text2, folder);
  return inside === void 0 ? void 0 : { type: "bind", source: inside, target: to, ...options };
}
var anonymous = (service, to) => `${service}${to.replace(/[^a-zA-Z0-9_.-]+/g, "-")}`.slice(0, 128).replace(/-$/, "");
function volume(reader2, source, to, options, context) {
  if (source === void 0)
    return { type: "volume", source: anonymous(context.service, to), target: to, ...options, anonymous: true };
  const bound = context.boundVolume(source);
  if (bound !== void 0) return bind(bound, bound.string("a path") ?? ".", to, { readOnly: options.readOnly }, context);
  if (!VOLUME_NAME.test(source))
    return reader2.invalid("names no volume and no path", "Name the volume, or begin a path with ./");
  return { type: "volume", source, target: to, ...options };
}
function short(reader2, context) {
  const text2 = reader2.string("a volume");
  if (text2 === void 0) return void 0;
  const [first = "", inside, mode = "", ...rest] = text2.split(/(?<!^[A-Za-z]):/);
  if (rest.length > 0 || first === "" || inside === "")
    return reader2.invalid("is not `source:target[:ro]`", "Name the volume, as in data:/var/lib/data.");
  if (inside === void 0) {
    const to2 = target(reader2, first);
    return to2 === void 0 ? void 0 : volume(reader2, void 0, to2, { readOnly: false }, context);
  }
  const to = target(reader2, inside);
  if (to === void 0) return void 0;
  const options = mode.split(",");
  const readOnly = options.includes("ro");
  const unknown = options.find((option) => option !== "" && !OPTIONS.has(option) && !PROPAGATION.has(option));
  if (unknown !== void 0) context.note(`${reader2.path}: the option ${unknown.slice(0, 32)} is unknown and has no effect.`);
  if (isPath(first)) return bind(reader2, first, to, { readOnly }, context);
  return volume(reader2, first, to, { readOnly, ...options.includes("nocopy") ? { noCopy: true } : {} }, context);
}
function long(reader2, context) {
  const fields = reader2.fields([
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "tmpfs",
    "volume",
    "bind",
    "image"
  ]);
  const type = fields.type?.string();
  const to = target(fields.target ?? reader2, fields.target?.string("a path"));
  const readOnly = given(fields.read_only) ? fields.read_only.boolean() ?? false : false;
  const source = given(fields.source) ? fields.source.string("a path or a volume") : void 0;
  if (type === "npipe")
    return reader2.policy("reaches a pipe of the machine", "Remove it, or start the other services without this one (`without`).");
  if (type === "cluster" || type === "image") {
    context.note(`${reader2.path}: a mount of the type ${type} is left out.`);
    return void 0;
  }
  if (type !== void 0 && type !== "volume" && type !== "bind" && type !== "tmpfs")
    return fields.type?.invalid("is not a type of mount", "Write volume, bind or tmpfs.");
  if (type === void 0 && source === void 0) return reader2.invalid("has no source", "Give `type` and `source`.");
  if (to === void 0) return void 0;
  if (type === "tmpfs") {
    const parts2 = given(fields.tmpfs) ? fields.tmpfs.fields(["size", "mode"]) : {};
    return tmpfs(parts2.size ?? reader2, to, parts2.size?.string("a size"), parts2.mode?.string("a mode"));
  }
  if (type === "bind") {
    const parts2 = given(fields.bind) ? fields.bind.fields(["propagation", "create_host_path", "recursive", "selinux"]) : {};
    const propagation = parts2.propagation?.string();
    if (propagation !== void 0 && !PROPAGATION.has(propagation))
      parts2.propagation?.invalid("is not a propagation", `Write one of: ${[...PROPAGATION].join(", ")}.`);
    const create = given(parts2.create_host_path) ? parts2.create_host_path.boolean() : true;
    if (source === void 0) return reader2.invalid("has no source", "Give `source`.");
    return bind(
      fields.source,
      source,
      to,
      { readOnly, ...create === false ? { createHostPath: false } : {} },
      context
    );
  }
  const parts = given(fields.volume) ? fields.volume.fields(["nocopy", "subpath", "labels"]) : {};
  const subpath = parts.subpath?.string("a path");
  if (subpath !== void 0 && (subpath.startsWith("/") || subpath.split("/").includes("..")))
    return parts.subpath?.invalid("leads out of the volume", "Write a relative path without `..`.");
  const noCopy = given(parts.nocopy) && parts.nocopy.boolean() === true;
  if (source !== void 0 && isPath(source)) return reader2.invalid("is a path", "Use `type: bind` for a path.");
  return volume(
    reader2,
    source,
    to,
    { readOnly, ...subpath === void 0 ? {} : { subpath }, ...noCopy ? { noCopy: true } : {} },
    context
  );
}
function tmpfs(reader2, to, size2, mode) {
  const bytes = size2 === void 0 ? void 0 : parseBytes(size2);
  const bits = mode === void 0 ? void 0 : parseMode(mode);
  if (bytes === null) return reader2.invalid("must be a size such as 64m", "Write it as in /run:size=64m.");
  if (bits === null) return reader2.invalid("must have a mode such as 1777", "Write permission bits in octal digits.");
  return {
    type: "tmpfs",
    target: to,
    ...bytes === void 0 ? {} : { sizeBytes: bytes },
    ...bits === void 0 ? {} : { mode: bits }
  };
}
function readMounts(volumes, temporary, context) {
  const mounts = /* @__PURE__ */ new Map();
  for (const item of volumes?.list() ?? []) {
    const mount = item.isMap ? long(item, context) : short(item, context);
    if (mount !== void 0) mounts.set(mount.target, mount);
  }
  const seen = /* @__PURE__ */ new Set();
  for (const item of temporary?.listOrOne() ?? []) {
    const [path, options = ""] = (item.string("a path") ?? "").split(/:(.*)/s);
    const to = target(item, path);
    const option = (name) => new RegExp(`(?:^|,)${name}=([^,]+)`).exec(options)?.[1];
    const mount = to === void 0 ? void 0 : tmpfs(item, to, option("size"), option("mode"));
    if (mount === void 0) continue;
    if (seen.has(mount.target) || mounts.has(mount.target))
      item.invalid(`mounts ${mount.target} a second time`, "Mount each path once.");
    seen.add(mount.target);
    mounts.set(mount.target, mount);
  }
  return [...mounts.values()];
}

// src/stack/definition/read-ports.ts
import { isIP as isIP2 } from "node:net";
var MOST_PORTS = 1e3;
var port = (text2, least = 1) => {
  const value = /^\d{1,5}$/.test(text2) ? Number(text2) : -1;
  return value >= least && value <= 65535 ? value : null;
};
function range(text2, least = 1) {
  const [from = "", to = from, ...more] = text2.split("-");
  const [first, last] = [port(from, least), port(to, least)];
  return first === null || last === null || last < first || more.length > 0 ? null : [first, last];
}
var LOOPBACK = /* @__PURE__ */ new Set(["", "127.0.0.1", "localhost"]);
var isAddress = (host) => LOOPBACK.has(host) || isIP2(host) !== 0;
var ignored = (path, host) => `${path}: the host address ${host} is not used: ports are published on 127.0.0.1, unless the operator's configuration opens them (dagger_tunnel).`;
var HOW = 'Write "8080:80", "127.0.0.1:8080:80", "80", "9000-9010:9000-9010", or ":80" for the next free host port.';
function protocolOf(reader2, text2) {
  if (text2 === "tcp" || text2 === "udp") return text2;
  return reader2.invalid(`publishes ${text2}, which is neither tcp nor udp`, "Use tcp or udp.");
}
function mappings(reader2, container, host, protocol) {
  const [first, last] = container;
  const count = last - first + 1;
  const hosts = host === void 0 ? 0 : host[1] - host[0] + 1;
  if (hosts > 1 && count > 1 && hosts !== count) {
    reader2.invalid("has ranges of different lengths", "Give as many host ports as container ports.");
    return [];
  }
  return Array.from({ length: count }, (_, at) => ({
    containerPort: first + at,
    protocol,
    ...host === void 0 ? {} : count === 1 && hosts > 1 ? { hostPort: host[0], hostPortEnd: host[1] } : { hostPort: host[0] + (hosts === 1 && count > 1 ? 0 : at) }
  }));
}
function short2(reader2, note) {
  const text2 = reader2.string("a port");
  if (text2 === void 0) return [];
  const [address = "", written = "tcp"] = text2.split(/\/(.*)/s);
  const protocol = protocolOf(reader2, written.toLowerCase());
  if (protocol === void 0) return [];
  const [, given2 = "", published = "", target2 = ""] = /^(?:(?:(.*):)?([^:]*):)?([^:]+)$/.exec(address) ?? [];
  const host = given2.replace(/^\[(.*)\]$/, "$1");
  const container = range(target2);
  const wanted = published === "" ? void 0 : range(published, 0);
  if (container === null || wanted === null || !isAddress(host)) {
    reader2.invalid("is not a port mapping", HOW);
    return [];
  }
  if (!LOOPBACK.has(host)) note(ignored(reader2.path, host));
  return mappings(reader2, container, wanted?.[0] === 0 ? void 0 : wanted, protocol);
}
function long2(reader2, note) {
  const fields = reader2.fields(["target", "published", "protocol", "host_ip", "mode", "name", "app_protocol"]);
  const { target: target2, published, host_ip } = fields;
  const protocol = protocolOf(fields.protocol ?? reader2, fields.protocol?.string()?.toLowerCase() ?? "tcp");
  if (target2 === void 0) reader2.invalid("has no target", "Give `target`, the port inside the service.");
  const container = target2?.number(1, 65535);
  const text2 = published === void 0 || published.empty ? "" : published.string("a port") ?? "";
  const wanted = text2 === "" ? void 0 : range(text2, 0);
  if (wanted === null) published?.invalid("is not a port", "Write a number from 0 to 65535, or a range of them.");
  const host = host_ip === void 0 || host_ip.empty ? "" : host_ip.string() ?? "";
  if (!isAddress(host)) host_ip?.invalid("is not an IP address", "Leave it out, or give 127.0.0.1.");
  if (protocol === void 0 || container === void 0 || wanted === null || !isAddress(host)) return [];
  if (!LOOPBACK.has(host)) note(ignored(reader2.path, host));
  return mappings(reader2, [container, container], wanted?.[0] === 0 ? void 0 : wanted, protocol);
}
var key = ({ containerPort, hostPort, hostPortEnd, protocol }) => [containerPort, hostPort, hostPortEnd, protocol].join(" ");
function readPorts(reader2, note) {
  const ports = /* @__PURE__ */ new Map();
  for (const item of reader2.list()) {
    for (const mapping2 of item.isMap ? long2(item, note) : short2(item, note)) ports.set(key(mapping2), mapping2);
    if (ports.size > MOST_PORTS) {
      item.invalid(`publishes more than ${MOST_PORTS} ports`, "Publish fewer ports.");
      break;
    }
  }
  return [...ports.values()];
}
function readExpose(reader2) {
  const found = { tcp: /* @__PURE__ */ new Set(), udp: /* @__PURE__ */ new Set() };
  for (const item of reader2?.list() ?? []) {
    const text2 = item.string("a port");
    if (text2 === void 0) continue;
    const [ports = "", protocol = "tcp"] = text2.split(/\/(.*)/s);
    const numbers = range(ports);
    const kind2 = protocolOf(item, protocol.toLowerCase());
    if (numbers === null) item.invalid("is not a port", "Write a number from 1 to 65535, as in 8080 or 8080/tcp.");
    if (numbers === null || kind2 === void 0) continue;
    if (numbers[1] - numbers[0] >= MOST_PORTS)
      item.invalid(`exposes more than ${MOST_PORTS} ports`, "Services reach every port of each other; leave it out.");
    else for (let one = numbers[0]; one <= numbers[1]; one += 1) found[kind2].add(one);
  }
  return { tcp: [...found.tcp], udp: [...found.udp] };
}

// src/stack/definition/read-restart.ts
var MOST_RETRIES = 1e4;
function readRestart(reader2, deploy) {
  if (!given(reader2)) return given(deploy) ? readDeployPolicy(deploy) : { policy: "no" };
  const text2 = reader2.string("a restart policy") ?? "no";
  const [, retries] = /^on-failure:(\d{1,4})$/.exec(text2) ?? [];
  if (retries !== void 0) return { policy: "on-failure", maxRetries: Number(retries) };
  if (text2 === "false" || text2 === "") return { policy: "no" };
  return { policy: reader2.oneOf(["no", "always", "on-failure", "unless-stopped"]) ?? "no" };
}
function readDeployPolicy(reader2) {
  const fields = reader2.fields(["condition", "delay", "max_attempts", "window"]);
  const condition = given(fields.condition) ? fields.condition.string("a condition") : "any";
  const maxRetries = given(fields.max_attempts) ? fields.max_attempts.number(0, MOST_RETRIES) : void 0;
  if (condition === "none") return { policy: "no" };
  if (condition === "on-failure")
    return { policy: "on-failure", ...maxRetries === void 0 || maxRetries === 0 ? {} : { maxRetries } };
  if (condition !== "any" && condition !== "always" && condition !== void 0)
    fields.condition?.invalid("is not a condition of a restart", "Write none, on-failure or any.");
  return { policy: "always" };
}

// src/stack/definition/read-settings.ts
var HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
var PULL = /^(?:always|never|missing|if_not_present|build|refresh|daily|weekly|every_\w+)$/;
function readUlimits(reader2) {
  const limits2 = /* @__PURE__ */ Object.create(null);
  const number = (field) => given(field) ? field.number(-1, Number.MAX_SAFE_INTEGER) : void 0;
  for (const [name, value] of given(reader2) ? reader2.entries() : []) {
    if (value.isMap) {
      const fields = value.fields(["soft", "hard"]);
      const [soft, hard] = [number(fields.soft), number(fields.hard)];
      if (soft !== void 0 && hard !== void 0) limits2[name] = { soft, hard };
      else value.invalid("needs soft and hard", "Write { soft: 1024, hard: 4096 }, or one number for both.");
    } else {
      const both = number(value);
      if (both !== void 0) limits2[name] = { soft: both, hard: both };
    }
  }
  return limits2;
}
function readContainerSettings(fields) {
  const text2 = (key2) => given(fields[key2]) ? fields[key2].string() || void 0 : void 0;
  const texts = (key2) => (fields[key2]?.listOrOne() ?? []).flatMap((item) => item.empty ? [] : item.string() ?? []);
  const flag = (key2) => given(fields[key2]) && fields[key2].boolean() === true;
  const number = (key2, least, most) => given(fields[key2]) ? fields[key2].number(least, most) : void 0;
  const hostname = text2("hostname");
  if (hostname !== void 0 && !HOST_NAME.test(hostname))
    fields.hostname?.invalid("is not a host name", "Use letters, digits, dots and dashes.");
  const size2 = text2("shm_size");
  const shmSizeBytes = size2 === void 0 ? void 0 : parseBytes(size2) ?? void 0;
  if (size2 !== void 0 && shmSizeBytes === void 0)
    fields.shm_size?.invalid("must be a size", "Write it as in 64m or 1g.");
  const pullPolicy = text2("pull_policy");
  if (pullPolicy !== void 0 && !PULL.test(pullPolicy))
    fields.pull_policy?.invalid("is not a pull policy", "Write always, missing, never, build, daily, weekly or every_12h.");
  return {
    hostname,
    domainName: text2("domainname"),
    dns: texts("dns"),
    dnsSearch: texts("dns_search"),
    dnsOptions: texts("dns_opt"),
    ulimits: readUlimits(fields.ulimits),
    shmSizeBytes,
    tty: flag("tty"),
    stdinOpen: flag("stdin_open"),
    platform: text2("platform"),
    pullPolicy: pullPolicy === "if_not_present" ? "missing" : pullPolicy,
    groupAdd: texts("group_add"),
    memorySwappiness: number("mem_swappiness", 0, 100),
    oomScoreAdj: number("oom_score_adj", -1e3, 1e3),
    cpuset: text2("cpuset"),
    cpuShares: number("cpu_shares", 0, 262144)
  };
}

// src/stack/definition/read-service.ts
var KEYS2 = [...keysBelow("services"), "deploy", "x-local"];
var DEPLOY_KEYS = keysBelow("services.deploy");
var SIGNAL = /^(?:SIG)?(?:TERM|INT|QUIT|HUP|USR1|USR2|KILL|WINCH|ABRT|RTMIN\+\d{1,2})$/;
var MOST_INSTANCES = 100;
function present(fields) {
  const kept = Object.entries(fields).filter(
    ([, value]) => value !== void 0 && value !== false && !(typeof value === "object" && value !== null && Object.keys(value).length === 0)
  );
  return Object.fromEntries(kept);
}
function readReplicas(reader2, scale, replicas) {
  const [own, deployed] = [scale, replicas].map((field) => given(field) ? field.number(0, MOST_INSTANCES) : void 0);
  if (own !== void 0 && deployed !== void 0 && own !== deployed)
    reader2.invalid("has different numbers in scale and deploy.replicas", "Keep one of them.");
  return own ?? deployed ?? 1;
}
function readSignal(reader2) {
  const text2 = given(reader2) ? reader2.string() : void 0;
  if (text2 === void 0) return "SIGTERM";
  if (SIGNAL.test(text2)) return text2.startsWith("SIG") ? text2 : `SIG${text2}`;
  const named = { "15": "SIGTERM", "2": "SIGINT", "3": "SIGQUIT", "1": "SIGHUP", "9": "SIGKILL" }[text2];
  if (named !== void 0) return named;
  reader2?.invalid("is not a signal that ends a service", "Write SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.");
  return "SIGTERM";
}
function readService(name, reader2, context) {
  for (const [key2, value] of reader2.entries()) if (POLICY_KEYS.includes(key2)) checkPolicy(key2, value);
  const fields = reader2.fields(KEYS2);
  const deploy = given(fields.deploy) ? fields.deploy.fields(DEPLOY_KEYS) : {};
  const { folder, note } = context;
  const text2 = (field) => given(field) ? field.string() : void 0;
  const flag = (field) => given(field) ? field.boolean() ?? false : false;
  const image = text2(fields.image);
  if (image !== void 0 && !/^[a-z0-9][\w./:@-]*$/i.test(image))
    fields.image?.invalid("is not an image reference", "Write it as in redis:7-alpine.");
  const build2 = given(fields.build) ? readBuild(fields.build, folder) : void 0;
  const local = readLocal(fields["x-local"], image, folder);
  if (image === void 0 && fields.build === void 0 && local === void 0)
    reader2.invalid("has neither image nor build", "Give `image`, `build`, or `x-local` for the local runtime.");
  const user = fields.user === void 0 ? void 0 : fields.user.empty ? "" : fields.user.string();
  const allowRoot = context.allowRoot(name);
  if (user !== void 0) checkUser(fields.user, user, allowRoot);
  const environment = readEnvironment(fields.environment, fields.env_file, folder);
  for (const path of environment.privateFiles) context.privateFile(path);
  const command = readCommand(fields.command, note);
  const entrypoint = readCommand(fields.entrypoint, note);
  const workingDir = text2(fields.working_dir);
  if (workingDir !== void 0 && !workingDir.startsWith("/"))
    fields.working_dir?.invalid(
      "must be an absolute path",
      "It is a path inside the service; for the local runtime give x-local.working_dir."
    );
  const { healthcheck, timings } = given(fields.healthcheck) ? readHealthcheck(fields.healthcheck) : {};
  const expose = readExpose(fields.expose);
  const networks = readAttachments(fields.networks);
  const mode = text2(fields.network_mode);
  if (mode !== void 0 && networks !== void 0)
    fields.network_mode?.invalid("and networks exclude each other", "Remove one of them.");
  const links = readLinks(fields.links);
  const replicas = readReplicas(reader2, fields.scale, deploy.replicas);
  const containerName = text2(fields.container_name);
  if (containerName !== void 0 && replicas > 1)
    fields.container_name?.invalid("is one name for several instances", "Remove it, or run one instance.");
  return {
    name,
    ...present({ image, build: build2, user, workingDir, healthcheck, local }),
    // An empty list clears the image's own.
    ...command === void 0 ? {} : { command },
    ...entrypoint === void 0 ? {} : { entrypoint },
    environment: environment.values,
    secretEnvironment: [...environment.secret].filter((key2) => environment.values[key2] !== "" || isSensitiveName(key2)),
    ports: given(fields.ports) ? readPorts(fields.ports, note) : [],
    expose: expose.tcp,
    dependsOn: readDependencies(fields.depends_on, links),
    restart: readRestart(fields.restart, deploy.restart_policy),
    mounts: readMounts(fields.volumes, fields.tmpfs, { ...context, service: name }),
    ...readLimits(fields, deploy.resources),
    stopSignal: readSignal(fields.stop_signal),
    stopGracePeriodMs: readDuration(fields.stop_grace_period, 0) ?? 1e4,
    readOnly: flag(fields.read_only),
    init: flag(fields.init),
    labels: { ...readLabelFiles(fields.label_file, folder), ...readLabels(fields.labels) },
    profiles: given(fields.profiles) ? fields.profiles.strings("a profile") : [],
    secrets: readFileMounts(fields.secrets, "secret"),
    allowRoot,
    ...present({
      exposeUdp: expose.udp,
      healthTimings: timings,
      configs: readFileMounts(fields.configs, "config"),
      containerName,
      networks,
      networkMode: mode === "none" ? mode : void 0,
      links,
      extraHosts: readExtraHosts(fields.extra_hosts),
      sysctls: readSysctls(fields.sysctls),
      replicas: replicas === 1 ? void 0 : replicas,
      annotations: readLabels(fields.annotations),
      ...readContainerSettings(fields)
    })
  };
}

// src/stack/definition/read-volumes.ts
function readVolumes(reader2) {
  const declared = /* @__PURE__ */ new Set();
  const bound = /* @__PURE__ */ new Map();
  for (const [name, value] of given(reader2) ? reader2.entries() : []) {
    declared.add(name);
    if (value.empty) continue;
    const fields = value.fields(["name", "driver", "driver_opts", "external", "labels"]);
    if (!given(fields.driver_opts)) continue;
    const options = new Map(fields.driver_opts.entries());
    const [kind2, device] = [options.get("o")?.string() ?? "", options.get("device")];
    if (device !== void 0 && kind2.split(",").some((option) => option === "bind" || option === "rbind"))
      bound.set(name, device);
  }
  return { declared, bound };
}

// src/stack/definition/references.ts
var DECLARE = (section) => `Declare it under the top-level \`${section}\`.`;
function checkReferences(services, all, without, declared, note) {
  for (const [name, service] of Object.entries(services)) {
    const reader2 = all.get(name);
    for (const [other, { required }] of Object.entries(service.dependsOn)) {
      if (Object.hasOwn(services, other)) continue;
      delete service.dependsOn[other];
      if (without.has(other)) note(`${name} starts without ${other}, on which it depends: ${other} is left out.`);
      else if (required && all.has(other))
        reader2.invalid(
          `depends on ${other}, whose profile is not active`,
          "Start with one of its profiles, or write required: false."
        );
      else if (required)
        reader2.invalid(`depends on ${other}, which does not exist`, `Services are: ${[...all.keys()].join(", ")}.`);
    }
    for (const [key2, value] of Object.entries(service.environment))
      for (const { token, service: target2, port: port2 } of publishedTokens(value))
        if (!services[target2]?.ports.some((mapping2) => mapping2.containerPort === port2))
          reader2.invalid(
            `${key2} uses ${token}, which no service publishes`,
            "Name a service of the stack and a port in its `ports`."
          );
    for (const mount of service.mounts)
      if (mount.type === "volume" && mount.anonymous !== true && !declared.volumes.has(mount.source))
        reader2.invalid(`uses the volume ${mount.source}, which is not declared`, DECLARE("volumes"));
    for (const network of Object.keys(service.networks ?? {}))
      if (network !== "default" && !declared.networks.has(network))
        reader2.invalid(`uses the network ${network}, which is not declared`, DECLARE("networks"));
    for (const { source } of service.configs ?? [])
      if (!declared.configs.has(source))
        reader2.invalid(`uses the config ${source}, which is not declared`, DECLARE("configs"));
    for (const { source } of service.secrets)
      if (!declared.secrets.has(source))
        reader2.invalid(`uses the secret ${source}, which is not declared`, DECLARE("secrets"));
  }
  const cycle = findCycle(services);
  if (cycle !== null)
    all.get(cycle[0])?.invalid(`depends on itself: ${cycle.join(" \u2192 ")}`, "Remove one of these dependencies.");
}

// src/stack/definition/selection.ts
var child = (reader2, key2) => {
  const tree = entry(reader2.tree, key2);
  return tree === void 0 ? void 0 : reader2.entries().find(([name]) => name === key2)?.[1];
};
function checkNames(what, names2, valid) {
  const unknown = names2.find((name) => !valid.includes(name));
  if (unknown === void 0) return;
  throw new StackwardenError("UNKNOWN_SERVICE", `${what}: the compose file has no service ${unknown}.`, {
    hint: `Services: ${valid.join(", ") || "none"}.`,
    details: { valid }
  });
}
function selectServices(all, request) {
  const valid = [...all.keys()];
  const { services = [], without = [] } = request;
  checkNames("services", services, valid);
  checkNames("without", without, valid);
  const profilesOf = /* @__PURE__ */ new Map();
  for (const [name, reader2] of all) {
    const profiles = child(reader2, "profiles");
    profilesOf.set(name, given(profiles) ? profiles.strings("a profile") : []);
  }
  const known = [...new Set([...profilesOf.values()].flat())].sort();
  const strange = request.profiles.find((profile) => profile !== "*" && !known.includes(profile));
  if (strange !== void 0)
    throw new StackwardenError("INVALID_INPUT", `profiles: no service has the profile ${strange}.`, {
      hint: `Profiles: ${known.join(", ") || "none"}.`,
      details: { issues: [{ field: "profiles", problem: `unknown profile ${strange}`, valid: known.join(", ") || "none" }] }
    });
  const active = /* @__PURE__ */ new Set([...request.profiles, ...request.usualProfiles]);
  const isActive = (name) => {
    const profiles = profilesOf.get(name) ?? [];
    return profiles.length === 0 || active.has("*") || profiles.some((profile) => active.has(profile));
  };
  const left = new Set(without);
  const chosen = /* @__PURE__ */ new Set();
  const waiting = services.length > 0 ? [...services] : valid.filter(isActive);
  for (let name = waiting.pop(); name !== void 0; name = waiting.pop()) {
    const reader2 = all.get(name);
    if (reader2 === void 0 || chosen.has(name) || left.has(name)) continue;
    chosen.add(name);
    if (services.length === 0) continue;
    const links = readLinks(child(reader2, "links"));
    for (const other of Object.keys(readDependencies(child(reader2, "depends_on"), links)))
      if (all.has(other) && (isActive(other) || services.includes(other))) waiting.push(other);
  }
  return { names: valid.filter((name) => chosen.has(name)), without: left };
}

// src/stack/definition/load.ts
var SHORTEST_SECRET = 6;
var MOST_SERVICES = 500;
var SECTIONS2 = ["version", "name", "include", "services", "models", "networks", "volumes", "secrets", "configs", "jobs"];
var reader = (problems, tree, path = "") => new NodeReader({ problems, budget: nodeBudget() }, tree, path);
function modelOf({ files, found, request, unset }, problems, lookup) {
  const context = modelContext(files, problems, request.folder, (name) => unset.add(name));
  return loadModel(context, { files: found.files, folder: found.folder, lookup, including: [] });
}
function leaveOutAbsent(services, folder, note) {
  for (const [name, service] of Object.entries(services)) {
    const at = service.local?.workingDir;
    if (at === void 0 || statBeneath(at, folder) !== void 0) continue;
    delete services[name];
    note(`The service ${name} is left out: the project has no folder ${name}/.`);
    for (const other of Object.values(services)) {
      delete other.dependsOn[name];
      for (const [key2, value] of Object.entries(other.environment))
        if (publishedTokens(value).some((token) => token.service === name)) delete other.environment[key2];
    }
  }
}
function leaveOutEmpty(services, note) {
  for (const [name, service] of Object.entries(services)) {
    if (service.replicas !== 0) continue;
    delete services[name];
    note(`The service ${name} is left out: it has 0 replicas.`);
    for (const other of Object.values(services)) delete other.dependsOn[name];
  }
}
function privateFilesOf({ found, files, variables, request }, sources, services, secretValues) {
  const paths = /* @__PURE__ */ new Set();
  for (const { file } of sources) if (file !== void 0) paths.add(file);
  for (const { local } of Object.values(services)) {
    const settings = local?.install?.kind === "node" ? npmSettingsWithSecret(local.install.manifest, request.folder) : null;
    if (settings !== null) paths.add(settings);
  }
  if (variables.size > 0 && found.envFile !== void 0) paths.add(realPath(found.envFile));
  const forms = secretValues.flatMap(secretEncodings);
  for (const file of files.read) if (forms.some((form) => file.text.includes(form))) paths.add(realPath(file.path));
  return [...paths];
}
function readServices(reading, section) {
  const all = /* @__PURE__ */ new Map();
  const written = given(section) ? section.entries() : [];
  if (written.length > MOST_SERVICES)
    section?.invalid(`has ${written.length} services; ${MOST_SERVICES} are possible`, "Split the stack.");
  for (const [name, service] of written.slice(0, MOST_SERVICES)) {
    if (SERVICE_NAME.test(name)) all.set(name, service);
    else
      service.invalid(
        `${JSON.stringify(name.slice(0, 64))} is not a service name`,
        "Use letters, digits, dots, dashes and underscores; begin with a letter or digit."
      );
  }
  return { all, total: written.length };
}
function readStack(reading, model, { sources, secrets }) {
  const { request, found, variables, problems, unset } = reading;
  const notes = [...found.notes];
  const note = (text2) => void (notes.includes(text2) || notes.push(text2));
  const root = reader(problems, model);
  const fields = root.fields(SECTIONS2);
  for (const name of unset) note(`The variable ${name} is not set; the empty text was used. Set it in .env.`);
  const volumes = readVolumes(fields.volumes);
  const networks = readNetworks(fields.networks);
  const privateFiles = /* @__PURE__ */ new Set();
  const { all } = readServices(reading, fields.services);
  const selected = selectServices(all, {
    profiles: request.profiles,
    usualProfiles: (variables.get("COMPOSE_PROFILES")?.value ?? "").split(",").map((one) => one.trim()).filter(Boolean),
    ...request.services === void 0 ? {} : { services: request.services },
    ...request.without === void 0 ? {} : { without: request.without }
  });
  const services = /* @__PURE__ */ Object.create(null);
  const uses = [];
  for (const name of selected.names) {
    const service = all.get(name);
    if (given(service) && entry(service.tree, "provider") !== void 0 && entry(service.tree, "image") === void 0) {
      note(`The service ${name} is left out: a provider outside of stackwarden would run it.`);
      continue;
    }
    services[name] = readService(name, service, {
      folder: request.folder,
      allowRoot: (one) => request.allowRoot.includes(one) || request.allowRoot.includes(`${request.projectId}/${one}`),
      allowBinds: request.allowBinds ?? [],
      note,
      privateFile: (path) => privateFiles.add(path),
      boundVolume: (volume2) => volumes.bound.get(volume2)
    });
    for (const attribute of attributeUses(service.tree, "services")) uses.push({ attribute, service: name });
  }
  for (const section of SECTIONS2)
    if (section !== "services" && given(fields[section]))
      for (const attribute of attributeUses(fields[section].tree, section)) uses.push({ attribute });
  if (found.builtIn) leaveOutAbsent(services, request.folder, note);
  const count = Object.keys(services).length;
  leaveOutEmpty(services, note);
  if (count === 0 && problems.empty) root.invalid("defines no active service", "Define one under `services`, or start with a profile.");
  const configs = readConfigs(
    fields.configs,
    request.folder,
    new Set(Object.values(services).flatMap((service) => (service.configs ?? []).map(({ source }) => source)))
  );
  for (const [name, service] of Object.entries(services))
    for (const { source } of service.secrets)
      if (sources.some((one) => one.name === source && one.external) && secrets.text[source] === void 0)
        all.get(name)?.invalid(`uses the external secret ${source}`, `Set ${source} in .env: there is no store of external secrets.`);
  checkReferences(
    services,
    all,
    selected.without,
    {
      volumes: volumes.declared,
      networks: new Set(Object.keys(networks)),
      configs: configs.declared,
      secrets: new Set(sources.map(({ name }) => name))
    },
    note
  );
  problems.throwIfAny();
  const secretValues = /* @__PURE__ */ new Set([...Object.values(secrets.text), ...configs.secret]);
  for (const { secretEnvironment, environment } of Object.values(services))
    for (const key2 of secretEnvironment) secretValues.add(environment[key2] ?? "");
  for (const variable of variables.values()) if (variable.secret) secretValues.add(variable.value);
  const redacted = [...secretValues].filter((value) => value.length >= SHORTEST_SECRET);
  const inUse = (names2) => [...new Set(names2)];
  const mounted = Object.values(services).flatMap(
    ({ mounts }) => mounts.flatMap((mount) => mount.type === "volume" ? [mount.source] : [])
  );
  const attached = inUse(Object.values(services).flatMap((service) => Object.keys(service.networks ?? { default: null })));
  return {
    name: stackName(reading, model),
    source: found.files[0],
    files: reading.files.read.map(({ path }) => path),
    services,
    volumes: inUse(mounted),
    networks: Object.fromEntries(
      attached.map((name) => [name, networks[name] ?? { internal: false, external: false }])
    ),
    ...Object.keys(configs.contents).length === 0 ? {} : { configs: configs.contents },
    ...Object.keys(secrets.binary).length === 0 ? {} : { binarySecrets: secrets.binary },
    secretValues: redacted,
    privateFiles: inUse([...privateFiles, ...privateFilesOf(reading, sources, services, redacted)]),
    secrets: secrets.text,
    notes,
    uses
  };
}
var stackName = ({ variables, request }, model) => variables.get("COMPOSE_PROJECT_NAME")?.value || textOf(entry(model, "name")) || request.projectId;
async function loadStack(request) {
  const files = new FileReader(request.folder);
  const read = async (make) => {
    const problems = new Problems();
    const unset = /* @__PURE__ */ new Set();
    const found = findFiles(request.folder, request.files ?? [], problems, (name2) => unset.add(name2));
    const { variables } = found;
    const reading = { request, found, files, variables, problems, unset };
    const secretsOf = (model2, into) => {
      const tree = entry(model2, "secrets");
      return tree === void 0 ? [] : readSecretSources(reader(into, tree, "secrets"), request.folder);
    };
    const before = new Problems();
    const early = modelOf({ ...reading, unset: /* @__PURE__ */ new Set() }, before, (name2) => variables.get(name2) ?? { value: "", secret: false });
    await resolveSecrets(secretsOf(early, before), request.folder, variables, make);
    const name = stackName(reading, early);
    const lookup = (variable) => variables.get(variable) ?? (variable === "COMPOSE_PROJECT_NAME" ? { value: name, secret: false } : void 0);
    const model = modelOf(reading, problems, lookup);
    const sources = secretsOf(model, problems);
    const secrets = await resolveSecrets(sources, request.folder, variables, make);
    return readStack(reading, model, { sources, secrets });
  };
  await read(async (name) => `not-generated-yet-${name}`);
  return read(request.generateSecret);
}
export {
  loadStack
};
