/**
 * Section lengths from the description that follows a stream. Written for the recorder alone, and on purpose without
 * a line of the package: the manifest has to be a second opinion.
 */

interface DescribedField {
  readonly size: number;
  readonly array_len?: number;
}

interface Described {
  readonly vmsd_name?: string;
  readonly name?: string;
  readonly instance_id?: number;
  readonly fields?: readonly DescribedField[];
  readonly subsections?: readonly Described[];
}

export interface Description {
  /** Offset of the type byte 06. */
  readonly offset: number;
  /** Bytes of JSON. */
  readonly length: number;
  readonly pageSize: number;
  /** Payload length of every described section, by `name/instance`. */
  readonly lengths: ReadonlyMap<string, number>;
}

/** Finds the description by its place at the very end: EOF, 06, be32 length, JSON. */
export function findDescription(bytes: Uint8Array): Description | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = bytes.length - 6; offset > 0; offset--) {
    const length = bytes.length - offset - 5;
    if (bytes[offset] !== 6 || bytes[offset - 1] !== 0 || view.getUint32(offset + 1) !== length) continue;
    const json = parseJson(new TextDecoder().decode(bytes.subarray(offset + 5)));
    if (!json) continue;
    const lengths = json.devices.map((device) => [`${device.name}/${device.instance_id}`, bodyLength(device)] as const);
    return { offset, length, pageSize: json.page_size, lengths: new Map(lengths) };
  }
  return null;
}

function parseJson(text: string): { page_size: number; devices: readonly Described[] } | null {
  try {
    return JSON.parse(text) as { page_size: number; devices: readonly Described[] };
  } catch {
    return null;
  }
}

function bodyLength(described: Described): number {
  const fields = described.fields ?? [];
  const subsections = described.subsections ?? [];
  const own = fields.reduce((sum, field) => sum + field.size * (field.array_len ?? 1), 0);
  // A subsection begins with 05, its counted name and be32 version.
  return subsections.reduce((sum, sub) => sum + 2 + sub.vmsd_name!.length + 4 + bodyLength(sub), own);
}
