/** A dense network: relu hidden layers, one sigmoid output. Logistic regression has no hidden layer. */
export interface Network {
  /** inputs, hidden layers, 1 */
  readonly widths: readonly number[];
}

/** Where one dense layer lies in the parameter vector: weights [inputs, outputs] row by row, then biases. */
export interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weightsAt: number;
  readonly biasAt: number;
}

/** The layers of a network, first to last. */
export function layersOf(net: Network): Layer[] {
  let at = 0;
  return net.widths.slice(1).map((outputs, index) => {
    const inputs = net.widths[index]!;
    const layer = { inputs, outputs, weightsAt: at, biasAt: at + inputs * outputs };
    at = layer.biasAt + outputs;
    return layer;
  });
}

/** Length of the network's parameter vector. */
export function dimensionOf(net: Network): number {
  return layersOf(net).reduce((sum, layer) => sum + (layer.inputs + 1) * layer.outputs, 0);
}
