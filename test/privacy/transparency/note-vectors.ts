import { vectors } from '../vectors.ts';

/** Notes that others signed; the file says who. */
export const noteVectors = vectors<{
  readonly example: { readonly vkey: string; readonly note: string };
  readonly quasimodo: string;
  readonly text: string;
  readonly peter: { readonly seed: string; readonly vkey: string; readonly line: string };
  readonly enoch: { readonly vkey: string; readonly line: string };
  readonly badKeys: readonly string[];
  readonly moreKeys: readonly string[];
  readonly sofa: { readonly note: string; readonly cosigned: string };
  readonly arche2025h1: {
    readonly note: string;
    readonly log: string;
    readonly witnesses: readonly string[];
    readonly time: number;
  };
}>('transparency-notes');
