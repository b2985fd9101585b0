// Opens the published examples with Node's own cryptography, from docs/envelopes.md alone.
//
//     node open_vectors.mjs vectors.json
//
// prints what it derived and opened as JSON, in hexadecimal.

import {
  createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman, hkdfSync,
} from "node:crypto";
import { readFileSync } from "node:fs";

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
const bytes = (hex) => Buffer.from(hex.replace(/^0x/, ""), "hex");
const text = (words) => Buffer.from(words, "ascii");
const join = (...parts) => Buffer.concat(parts);

function number(value, length) {
  return bytes(value.toString(16).padStart(2 * length, "0"));
}

const hkdf = (secret, info, salt = Buffer.alloc(0)) =>
  Buffer.from(hkdfSync("sha256", secret, salt, info, 32));

// --- HPKE: RFC 9180, base mode, X25519 / HKDF-SHA256 / AES-256-GCM ---------------------------------

const KEM = join(text("KEM"), number(0x0020, 2));
const HPKE = join(text("HPKE"), number(0x0020, 2), number(0x0001, 2), number(0x0002, 2));

const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
const extract = (suite, salt, label, secret) =>
  hmac(salt.length ? salt : Buffer.alloc(32), join(text("HPKE-v1"), suite, text(label), secret));

function expand(suite, prk, label, info, length) {
  const labelled = join(number(length, 2), text("HPKE-v1"), suite, text(label), info);
  return hmac(prk, join(labelled, number(1, 1))).subarray(0, length);
}

const PRIVATE = bytes("302e020100300506032b656e04220420"); // the DER around raw X25519 keys
const PUBLIC = bytes("302a300506032b656e032100");
const privateKey = (raw) =>
  createPrivateKey({ key: join(PRIVATE, raw), format: "der", type: "pkcs8" });
const publicKey = (raw) => createPublicKey({ key: join(PUBLIC, raw), format: "der", type: "spki" });
const publicHalf = (key) =>
  createPublicKey(key).export({ format: "der", type: "spki" }).subarray(PUBLIC.length);

function openGcm(key, nonce, sealed) {
  const cipher = createDecipheriv("aes-256-gcm", key, nonce);
  cipher.setAuthTag(sealed.subarray(-16));
  return join(cipher.update(sealed.subarray(0, -16)), cipher.final());
}

function openHpke(sealed, secret, info) {
  const [encapsulated, ciphertext] = [sealed.subarray(0, 32), sealed.subarray(32)];
  const own = privateKey(secret);
  const shared = diffieHellman({ privateKey: own, publicKey: publicKey(encapsulated) });
  const context = join(encapsulated, publicHalf(own));
  const prk = extract(KEM, Buffer.alloc(0), "eae_prk", shared);
  const secretOfBoth = expand(KEM, prk, "shared_secret", context, 32);
  const none = Buffer.alloc(0);
  const schedule = join(
    number(0, 1), extract(HPKE, none, "psk_id_hash", none), extract(HPKE, none, "info_hash", info),
  );
  const scheduled = extract(HPKE, secretOfBoth, "secret", none);
  const key = expand(HPKE, scheduled, "key", schedule, 32);
  return openGcm(key, expand(HPKE, scheduled, "base_nonce", schedule, 12), ciphertext);
}

// --- the formats -----------------------------------------------------------------------------------

const { chain_id: chainId, contract, resource, epoch } = vectors.binding;
const binding = join(number(chainId, 8), bytes(contract), bytes(resource), number(epoch, 4));

const root = join(
  text("modelward epoch root 1"), number(chainId, 8), bytes(contract), bytes(resource),
);
const epochKeys = [hkdf(bytes(vectors.owner_account_key), root)]; // of epoch 4096, 4095, ...
while (epochKeys.length < 4096) {
  epochKeys.push(hkdf(epochKeys.at(-1), text("modelward earlier epoch 1")));
}
const epochKey = epochKeys[4096 - epoch];
const contentKey = hkdf(epochKey, text("modelward content key 1"));
const serviceKey = hkdf(epochKey, text("modelward service key 1"));
const granteeKey = hkdf(
  bytes(vectors.grantee_account_key), join(text("modelward encryption key 1"), number(1, 4)),
);

function openWrapped(wrapped) {
  const info = join(text("modelward wrapped key 1"), binding, bytes(vectors.grantee_address));
  return openHpke(wrapped, granteeKey, info);
}

function openMessage(message, label) {
  if (message[0] !== 1 || message.readUInt32BE(1) !== epoch) throw Error("another message");
  return openHpke(message.subarray(5), serviceKey, join(text(label), binding));
}

function openEnvelope(envelope) {
  const header = envelope.subarray(0, 105);
  if (!header.subarray(0, 7).equals(text("mwenvel")) || header[7] !== 1) throw Error("no envelope");
  if (!header.subarray(9, 73).equals(binding)) throw Error("it belongs elsewhere");
  const key = hkdf(contentKey, header, header.subarray(73));
  const chunk = 4 + 2 ** header[8] + 16;
  const opened = [];
  let last = false;
  for (let start = 105, index = 0; start < envelope.length; start += chunk, index += 1) {
    if (last) throw Error("there is more behind the last chunk");
    const part = envelope.subarray(start, start + chunk);
    const numbered = part.readUInt32BE(0);
    last = numbered >= 2 ** 31;
    if (numbered % 2 ** 31 !== index) throw Error("the chunks are out of order");
    const nonce = join(Buffer.alloc(8), part.subarray(0, 4));
    opened.push(openGcm(key, nonce, part.subarray(4)));
  }
  if (!last) throw Error("it is cut off");
  return join(...opened);
}

const found = {
  encoded: binding,
  epoch_key: epochKey,
  epoch_key_of_epoch_1: epochKeys[4095],
  content_key: contentKey,
  service_private_key: serviceKey,
  grantee_private_key: granteeKey,
  wrapped_key: openWrapped(bytes(vectors.wrapped_key)),
  envelope: openEnvelope(bytes(vectors.envelope)),
  envelope_of_chunks: openEnvelope(bytes(vectors.envelope_of_chunks)),
  sealed_input: openMessage(bytes(vectors.sealed_input), "modelward input 1"),
  sealed_output: openMessage(bytes(vectors.sealed_output), "modelward output 1"),
};
const shown = Object.entries(found).map(([name, value]) => [name, value.toString("hex")]);
console.log(JSON.stringify(Object.fromEntries(shown)));
