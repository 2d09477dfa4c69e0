// AssemblyScript. Everything the loader calls; addresses and lengths are bytes of the one fixed memory.
export * from './words';
export * from './slots';
export * from './narrow-ring';
export * from './wide-ring';
export * from './lattice';
