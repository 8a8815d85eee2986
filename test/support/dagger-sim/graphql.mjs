/** Executes the documents that the SDK sends: chains of fields, literal arguments, inline fragments. */
import { parse } from "graphql/language/parser.mjs";

function literal(node) {
  switch (node.kind) {
    case "IntValue":
    case "FloatValue":
      return Number(node.value);
    case "ListValue":
      return node.values.map(literal);
    case "ObjectValue":
      return Object.fromEntries(node.fields.map((field) => [field.name.value, literal(field.value)]));
    case "NullValue":
      return null;
    case "StringValue":
    case "BooleanValue":
    case "EnumValue":
      return node.value;
    default:
      throw new Error(`unsupported value ${node.kind}`);
  }
}

const isObject = (value) => typeof value === "object" && value !== null && typeof value.type === "string";

/**
 * @param {string} document
 * @param {(parent: any, name: string, args: Record<string, any>) => Promise<any>} resolve gives a field of an object
 */
export async function execute(document, root, resolve) {
  const [operation] = parse(document).definitions;
  const complete = async (value, selections, name) => {
    if (Array.isArray(value)) return Promise.all(value.map((one) => complete(one, selections, name)));
    if (!isObject(value)) return value ?? null;
    if (selections === undefined)
      throw new Error(`Field "${name}" of type ${value.type} must have a selection of subfields.`);
    return select(value, selections);
  };
  const select = async (parent, { selections }) => {
    const result = {};
    for (const selection of selections) {
      if (selection.kind === "InlineFragment") {
        if (selection.typeCondition.name.value === parent.type)
          Object.assign(result, await select(parent, selection.selectionSet));
        continue;
      }
      const name = selection.name.value;
      const args = Object.fromEntries((selection.arguments ?? []).map((one) => [one.name.value, literal(one.value)]));
      const value = await resolve(parent, name, args);
      result[selection.alias?.value ?? name] = await complete(value, selection.selectionSet, name);
    }
    return result;
  };
  return select(root, operation.selectionSet);
}
