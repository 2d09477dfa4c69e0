import type { Guarantees } from './guarantee.ts';

/**
 * Against whom a customer is protected, and how much noise certainly stands between:
 *
 *   release     an outsider                              n_min shares
 *   coalition   the coordinator and c tenants together   n_min − c shares
 *   floor       everybody else                           one share
 */
export type Adversary = keyof Guarantees;
export type ForEach<T> = Readonly<Record<Adversary, T>>;

export const ADVERSARIES: readonly Adversary[] = ['release', 'coalition', 'floor'];

export const forEach = <T>(value: (adversary: Adversary) => T): ForEach<T> => ({
  release: value('release'),
  coalition: value('coalition'),
  floor: value('floor'),
});
