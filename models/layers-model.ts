import { layersOf } from './layers.ts';
import { type KMeansSpec, type LogisticSpec, type MlpSpec, type ModelSpec, networkOf } from './model.ts';

/** One tensor in `weights.bin`, as a TensorFlow.js weights manifest lists it. */
export interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32';
}

/** A model as a Keras `Sequential` of dense layers, and its weights in the order of the entries. */
export interface SequentialModel {
  readonly topology: object;
  readonly weights: readonly WeightEntry[];
  readonly values: Float64Array;
}

interface Dense {
  readonly inputs: number;
  readonly units: number;
  readonly activation: 'relu' | 'sigmoid' | 'linear';
}

/** @see https://www.tensorflow.org/js/guide/save_load, "layers-model" */
export function layersModel(spec: ModelSpec, width: number, parameters: Float64Array): SequentialModel {
  return spec.kind === 'k-means' ? nearestCentreLayer(spec, width, parameters) : denseLayers(spec, width, parameters);
}

/** Parameters are already kernel, bias, kernel, bias …, each row by row. */
function denseLayers(spec: LogisticSpec | MlpSpec, width: number, parameters: Float64Array): SequentialModel {
  const layers = layersOf(networkOf(spec, width)).map(({ inputs, outputs }, index, all): Dense => {
    return { inputs, units: outputs, activation: index === all.length - 1 ? 'sigmoid' : 'relu' };
  });
  return { topology: topologyOf(layers), weights: layers.flatMap(entriesOf), values: parameters };
}

/** 2·c·x − ‖c‖² = ‖x‖² − ‖x − c‖² is largest for the nearest centre. Parked cells are left out. */
function nearestCentreLayer({ clusters }: KMeansSpec, width: number, centres: Float64Array): SequentialModel {
  const values = new Float64Array((width + 1) * clusters);
  for (let c = 0; c < clusters; c++) {
    for (let j = 0; j < width; j++) {
      const coordinate = centres[c * width + j]!;
      values[j * clusters + c] = 2 * coordinate;
      values[width * clusters + c]! -= coordinate * coordinate;
    }
  }
  const layer: Dense = { inputs: width, units: clusters, activation: 'linear' };
  return { topology: topologyOf([layer]), weights: entriesOf(layer, 0), values };
}

function entriesOf({ inputs, units }: Dense, index: number): WeightEntry[] {
  return [
    { name: `dense_${index + 1}/kernel`, shape: [inputs, units], dtype: 'float32' },
    { name: `dense_${index + 1}/bias`, shape: [units], dtype: 'float32' },
  ];
}

function topologyOf(layers: readonly Dense[]): object {
  return {
    class_name: 'Sequential',
    config: { name: 'parley', layers: layers.map(layerConfig) },
    keras_version: 'tfjs-layers 4.22.0',
    backend: 'tensor_flow.js',
  };
}

function layerConfig({ inputs, units, activation }: Dense, index: number): object {
  const inputShape = index === 0 ? { batch_input_shape: [null, inputs] } : {};
  return {
    class_name: 'Dense',
    config: {
      name: `dense_${index + 1}`,
      trainable: true,
      dtype: 'float32',
      units,
      activation,
      use_bias: true,
      ...inputShape,
    },
  };
}
