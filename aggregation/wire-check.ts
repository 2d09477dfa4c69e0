/** Not a message of this protocol: where and why. The sender may be hostile; nothing was acted upon. */
export class WireRefused extends Error {
  override readonly name: string = 'WireRefused';
}

/**
 * Walks msgpack without building anything: only maps, arrays, strings, binary, numbers, booleans and nil; nesting at
 * most 8; every announced length must fit into the bytes that are there. So no announcement makes the
 * decoder allocate more than the sender has sent, and no extension type is ever decoded.
 *
 * @see msgpack specification, "Formats"
 * @throws WireRefused
 */
export function checkMsgpack(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = value({ view, left: MAX_VALUES }, 0, 0);
  if (end !== bytes.length) throw new WireRefused(`${bytes.length - end} bytes after the message`);
}

const MAX_DEPTH = 8;

/** Values in one message, nested ones included: an object costs the decoder far more than its byte on the wire. */
const MAX_VALUES = 130_000;

interface Walk {
  readonly view: DataView;
  /** values that may still come */
  left: number;
}

/** @returns the offset after the value at `at` */
function value(walk: Walk, at: number, depth: number): number {
  const { view } = walk;
  if (walk.left-- <= 0) throw new WireRefused(`more than ${MAX_VALUES} values in one message`);
  if (depth > MAX_DEPTH) throw new WireRefused(`nested deeper than ${MAX_DEPTH}`);
  const tag = unsigned(view, at, 1);
  const next = at + 1;
  if (tag <= 0x7f || tag >= 0xe0) return next; // fixint
  if (tag <= 0x8f) return items(walk, next, 2 * (tag & 0x0f), depth); // fixmap
  if (tag <= 0x9f) return items(walk, next, tag & 0x0f, depth); // fixarray
  if (tag <= 0xbf) return skip(view, next, tag & 0x1f); // fixstr
  switch (tag) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return next;
    case 0xc4: // bin 8, str 8
    case 0xd9:
      return skip(view, next + 1, unsigned(view, next, 1));
    case 0xc5: // bin 16, str 16
    case 0xda:
      return skip(view, next + 2, unsigned(view, next, 2));
    case 0xc6: // bin 32, str 32
    case 0xdb:
      return skip(view, next + 4, unsigned(view, next, 4));
    case 0xcc: // uint 8, int 8
    case 0xd0:
      return skip(view, next, 1);
    case 0xcd: // uint 16, int 16
    case 0xd1:
      return skip(view, next, 2);
    case 0xca: // float 32, uint 32, int 32
    case 0xce:
    case 0xd2:
      return skip(view, next, 4);
    case 0xcb: // float 64
      return skip(view, next, 8);
    case 0xdc: // array 16
      return items(walk, next + 2, unsigned(view, next, 2), depth);
    case 0xdd: // array 32
      return items(walk, next + 4, unsigned(view, next, 4), depth);
    case 0xde: // map 16
      return items(walk, next + 2, 2 * unsigned(view, next, 2), depth);
    case 0xdf: // map 32
      return items(walk, next + 4, 2 * unsigned(view, next, 4), depth);
    default: // 64-bit integers would become BigInt, extensions would run decoders: neither is in the protocol
      throw new WireRefused(`msgpack type 0x${tag.toString(16)} is not in the protocol`);
  }
}

function items(walk: Walk, at: number, count: number, depth: number): number {
  if (count > walk.view.byteLength - at) throw new WireRefused('more items announced than bytes sent');
  let end = at;
  for (let i = 0; i < count; i++) end = value(walk, end, depth + 1);
  return end;
}

function skip(view: DataView, at: number, length: number): number {
  if (length > view.byteLength - at) throw new WireRefused('the message ends early');
  return at + length;
}

function unsigned(view: DataView, at: number, size: 1 | 2 | 4): number {
  if (at + size > view.byteLength) throw new WireRefused('the message ends early');
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
}
