import { readFileSync } from 'node:fs';

/** Known answers from test/vectors; each file says where they come from. */
export function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8')) as T;
}
