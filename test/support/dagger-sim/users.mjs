/** User names and ids as an image knows them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const rows = (layers, file) => {
  const found = layers.map((layer) => join(layer, "etc", file)).find((path) => existsSync(path));
  return found === undefined
    ? []
    : readFileSync(found, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((one) => one.split(":"));
};
const isId = (word) => /^\d+$/.test(word);

/** An owner without a group has the group of the same number. */
export function ownerOf(layers, text) {
  const user = findUser(layers, text);
  return text.includes(":") ? user : { ...user, gid: user.uid };
}

/** @param {string[]} layers topmost first */
export function findUser(layers, text) {
  const [user, group] = text === "" ? ["0"] : text.split(":");
  const known = rows(layers, "passwd").find(([name, , uid]) => (isId(user) ? uid === user : name === user));
  if (known === undefined && !isId(user))
    throw new Error(`get user: unable to find user ${user}: no matching entries in passwd file`);
  const groups = rows(layers, "group");
  let gid = known === undefined ? 0 : Number(known[3]);
  if (group !== undefined) {
    const found = isId(group) ? group : groups.find(([name]) => name === group)?.[2];
    if (found === undefined)
      throw new Error(`get group: unable to find group ${group}: no matching entries in group file`);
    gid = Number(found);
  }
  return {
    uid: known === undefined ? Number(user) : Number(known[2]),
    gid,
    home: known?.[5] || "/",
    groups: groups
      .filter(([, , , members]) => known !== undefined && (members ?? "").split(",").includes(known[0]))
      .map(([, , id]) => id),
  };
}
