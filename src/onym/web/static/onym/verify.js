// Checks one leaf of the public log with nothing but its files: C2SP checkpoint, tiles, entries.
const place = document.getElementById("verify");
const button = place.querySelector("button");
const subtle = globalThis.crypto?.subtle;
const bytes = (text) => new TextEncoder().encode(text);
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
const join = (...parts) => new Uint8Array(parts.flatMap((part) => [...part]));
const hash = async (...parts) => new Uint8Array(await subtle.digest("SHA-256", join(...parts)));
const node = (left, right) => hash([1], left, right);

class Wrong extends Error {}
class Lost extends Error {}

function expect(holds, what) {
  if (!holds) throw new Wrong(what);
}

async function read(...paths) {
  for (const path of paths) {
    const answer = await fetch(`/log/${path}`, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) return new Uint8Array(await answer.arrayBuffer());
  }
  throw new Lost(paths[0]);
}

function tilePath(level, index, width) {
  let name = String(index % 1000).padStart(3, "0");
  for (let rest = Math.floor(index / 1000); rest; rest = Math.floor(rest / 1000)) {
    name = `x${String(rest % 1000).padStart(3, "0")}/${name}`;
  }
  return `tile/${level}/${name}${width === 256 ? "" : `.p/${width}`}`;
}

async function tile(level, index, size) {
  const step = level === "entries" ? 1 : 256 ** level;
  const width = Math.min(256, Math.floor(size / step) - index * 256);
  return read(tilePath(level, index, width), tilePath(level, index, 256));
}

async function verifier(name) {
  const text = new TextDecoder().decode(await read("key")).trim();
  const [origin, id] = text.split("+", 2);
  const key = decode(text.slice(origin.length + id.length + 2));
  const seal = await hash(bytes(`${origin}\n`), key);
  const hex = [...seal.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  expect(origin === name && key[0] === 1 && hex === id, "key");
  return { id: seal.slice(0, 4), key: await subtle.importKey("raw", key.slice(1), "Ed25519", false, ["verify"]) };
}

async function checkpoint() {
  const note = new TextDecoder().decode(await read("checkpoint"));
  const end = note.lastIndexOf("\n\n") + 1;
  const [origin, size, root] = note.slice(0, end).split("\n");
  const { id, key } = await verifier(origin);
  const own = note.slice(end).split("\n").filter((line) => line.startsWith(`— ${origin} `))
    .map((line) => decode(line.split(" ")[2])).filter((value) => same(value.slice(0, 4), id));
  expect(own.length > 0, "checkpoint");
  for (const value of own) {
    expect(await subtle.verify("Ed25519", key, value.slice(4), bytes(note.slice(0, end))), "checkpoint");
  }
  return { size: Number(size), root: decode(root) };
}

async function entryAt(leaf, size) {
  const bundle = await tile("entries", Math.floor(leaf / 256), size);
  for (let n = 0, at = 0; at + 2 <= bundle.length; n += 1) {
    const end = at + 2 + bundle[at] * 256 + bundle[at + 1];
    if (n === leaf % 256) return bundle.slice(at + 2, end);
    at = end;
  }
  throw new Wrong("entries");
}

async function hashAt(level, index, size) {
  const inside = level % 8, height = (level - inside) / 8, first = index * 2 ** inside;
  const row = await tile(height, Math.floor(first / 256), size);
  let found = [];
  for (let n = 0; n < 2 ** inside; n += 1) {
    const at = ((first % 256) + n) * 32;
    expect(at + 32 <= row.length, tilePath(height, Math.floor(first / 256), 256));
    found.push(row.slice(at, at + 32));
  }
  while (found.length > 1) {
    const next = [];
    for (let n = 0; n < found.length; n += 2) next.push(await node(found[n], found[n + 1]));
    found = next;
  }
  return found[0];
}

// The root of the leaves from `low` on; with `leaf` among them, its hash is the one given.
async function root(low, count, size, leaf, own) {
  const has = leaf >= low && leaf < low + count;
  if (has && count === 1) return own;
  const level = Math.round(Math.log2(count));
  if (!has && 2 ** level === count) return hashAt(level, low / count, size);
  let left = 1;
  while (left * 2 < count) left *= 2;
  return node(
    await root(low, left, size, leaf, own),
    await root(low + left, count - left, size, leaf, own),
  );
}

async function check(leaf, done) {
  const head = await checkpoint();
  expect(leaf < head.size, "checkpoint");
  done("signature");
  const entry = await entryAt(leaf, head.size);
  expect(same(entry, bytes(document.getElementById("entry").textContent)), "entry");
  done("entry");
  const own = await hash([0], entry);
  expect(same(own, await hashAt(0, leaf, head.size)), tilePath(0, Math.floor(leaf / 256), 256));
  done("hash");
  expect(same(await root(0, head.size, head.size, leaf, own), head.root), "root");
  done("inclusion");
}

function say(what, detail) {
  const told = place.querySelector(`[data-said="${what}"]`).textContent;
  place.querySelector("[data-result]").textContent = detail ? `${told} (${detail})` : told;
  place.dataset.state = what;
}

async function able() {
  try {
    await subtle.importKey("raw", new Uint8Array(32), "Ed25519", false, ["verify"]);
    return true;
  } catch {
    return false;
  }
}

async function run() {
  const steps = [...place.querySelectorAll("[data-step]")];
  for (const step of steps) step.className = "";
  if (!await able()) return say("unable");
  place.querySelector("ol").hidden = false;
  let next = 0;
  steps[0].className = "now";
  try {
    await check(Number(place.dataset.leaf), () => {
      steps[next].className = "done";
      next += 1;
      if (steps[next]) steps[next].className = "now";
    });
    return say("good");
  } catch (error) {
    steps[next].className = "failed";
    return error instanceof Lost ? say("lost", error.message) : say("bad", error instanceof Wrong ? error.message : "");
  }
}

button.hidden = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  await run();
  button.disabled = false;
});
