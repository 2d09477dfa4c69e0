/**
 * The memory of the compiled kernels: tables at its start that stay, and a stack for what an operation works on. It
 * is of one size for good, because growing could move it and leave a copy behind.
 *
 * Promise: outside of `use` and of the tables every byte is zero.
 */
export interface Arena {
  /** all of it; views stay valid */
  readonly bytes: Uint8Array;
  /** Puts a table there for good. @returns its address */
  keep(table: ArrayBufferView): number;
  /** Runs `work` on as many zero bytes, 16 of slack behind them, and overwrites them after it, whether it throws or not. */
  use<T>(length: number, work: (address: number) => T): T;
}

/** Registers are 16 bytes; a cache line is four of them. */
const ALIGNMENT = 64;
const SLACK = 16;

export function arenaOf(memory: { readonly buffer: ArrayBuffer }): Arena {
  const bytes = new Uint8Array(memory.buffer);
  let top = ALIGNMENT; // no table at address 0
  const take = (length: number): number => {
    const end = top + Math.ceil((length + SLACK) / ALIGNMENT) * ALIGNMENT;
    if (end > bytes.length) throw new RangeError(`the kernels' memory has no room for ${length} bytes more`);
    const address = top;
    top = end;
    return address;
  };
  return {
    bytes,
    keep(table) {
      const address = take(table.byteLength);
      bytes.set(new Uint8Array(table.buffer, table.byteOffset, table.byteLength), address);
      return address;
    },
    use(length, work) {
      const from = take(length);
      const to = top;
      try {
        return work(from);
      } finally {
        bytes.fill(0, from, to);
        top = from;
      }
    },
  };
}
