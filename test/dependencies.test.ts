import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** What `npm ci` brings is what the lock file names, byte for byte, and nothing of it runs while it is installed. */
const file = (name: string): string => readFileSync(join(import.meta.dirname, '..', name), 'utf8');

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
}
const locked = Object.entries(JSON.parse(file('package-lock.json')).packages as Record<string, Locked>).filter(
  ([path]) => path !== '',
);
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

test('package.json asks for exact versions, and for those that are locked', () => {
  const { dependencies, devDependencies, optionalDependencies, overrides } = JSON.parse(file('package.json'));
  const lockedVersions = new Map(locked.map(([path, { version }]) => [path, version]));
  for (const [name, version] of Object.entries({
    ...dependencies,
    ...devDependencies,
    ...optionalDependencies,
    ...overrides,
  })) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
    expect(lockedVersions.get(`node_modules/${name}`), name).toBe(version);
  }
});

test('every locked package has a hash, so that a registry cannot hand out another', () => {
  expect(locked.length).toBeGreaterThan(100);
  expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
});

test('packages that would run code at install time are those that the README names, and none of them may', () => {
  const [, list] = /Install scripts in the tree, none of which runs: ([^.]*)\./.exec(file('README.md'))!;
  const named = [...list!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
  const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
  // a scope stands for the builds of one package for many machines
  const asNamed = withScript.map((name) => {
    const scope = `${name.split('/')[0]}/*`;
    return named.includes(scope) ? scope : name;
  });
  expect([...new Set(asNamed)].sort()).toEqual(named.sort());
  expect(file('.npmrc').split('\n')).toContain('ignore-scripts=true');
});
