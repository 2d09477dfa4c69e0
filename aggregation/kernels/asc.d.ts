/**
 * What is used of `assemblyscript/asc`, in place of its own types (tsconfig.json, "paths"): those declare a global `console`
 * that is not Node's.
 */
export function main(
  flags: string[],
  files: {
    readFile(name: string): string | null;
    writeFile(name: string, contents: Uint8Array | string): void;
    listFiles(): string[];
  },
): Promise<{ readonly error: Error | null; readonly stderr: object }>;
