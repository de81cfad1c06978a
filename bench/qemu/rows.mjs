// The rows of the comparison with QEMU: how each is measured on a pair, and made into a result.

const MIB = 2 ** 20;
/** Runs of ours before the first that counts, until what runs is optimised code. */
const WARM_UP = 3;
/** Runs for a figure of memory. */
const MEMORY_RUNS = 5;

const OPERATIONS = [
  {
    verb: "save",
    title: "save to a Unix socket",
    limits: { zero: [1.1, 1.3], random: [1.0, 1.2], "60% zero": [1.0, 1.15] },
    prepare: () => undefined,
    ours: (pair) => pair.save(),
    theirs: (pair) => pair.saveQemu(),
  },
  {
    verb: "load",
    title: "load from a Unix socket",
    limits: { zero: [0.9, 1.0], random: [1.3, 1.6], "60% zero": [1.15, 1.4] },
    prepare: (pair) => pair.clear(),
    ours: (pair, how) => pair.load(how),
    theirs: (pair, how) => pair.loadQemu(how),
  },
];

/** Median and quartiles of the rounds of one run. */
function figure({ summarise }, rounds, [floor, goal] = []) {
  const summary = summarise(rounds);
  return { ...summary, runs: [summary.median], rounds, ...(floor !== undefined && { floor, goal }) };
}

/** Takes turns; what was loaded is looked at before anything counts. */
async function measurePairs(pair, { prepare, ours, theirs }, pairs) {
  const turns = {
    savevm: async (how) => {
      await prepare(pair);
      return ours(pair, how);
    },
    qemu: (how) => theirs(pair, how),
  };
  const first = await turns.savevm({ verify: true });
  await turns.qemu({ verify: true });
  for (let i = 1; i < WARM_UP; i++) await turns.savevm();
  const runs = { savevm: [], qemu: [] };
  for (let round = 0; round < pairs; round++) {
    const order = Object.keys(turns);
    for (const name of round % 2 === 0 ? order : order.reverse()) runs[name].push(await turns[name]());
  }
  return { first, runs };
}

async function measureTime(pair, row, { library, pairs }) {
  const { first, runs } = await measurePairs(pair, row.operation, pairs);
  const rate = (seconds) => row.bytes / seconds / 1e9;
  const seconds = (name, key) => runs[name].map((run) => run[key]);
  const rates = (name, key) => figure(library, seconds(name, key).map(rate));
  const ratio = (key, limits) => {
    const theirs = seconds("qemu", key);
    const rounds = seconds("savevm", key).map((ours, round) => theirs[round] / ours);
    return figure(library, rounds, limits);
  };
  return {
    id: row.id,
    title: row.title,
    unit: "GB/s",
    better: "higher",
    values: {
      savevm: rates("savevm", "seconds"),
      qemu: rates("qemu", "seconds"),
      "savevm, bytes flowing": rates("savevm", "streaming"),
      "qemu, bytes flowing": rates("qemu", "streaming"),
      "savevm, the first time": figure(library, [rate(first.seconds)]),
    },
    ratios: [
      { of: "savevm", to: "qemu", ...ratio("seconds", row.limits) },
      { of: "savevm, bytes flowing", to: "qemu, bytes flowing", ...ratio("streaming") },
    ],
  };
}

async function measureMemory(pair, row, { library }) {
  const { prepare, ours } = row.operation;
  const rounds = [];
  for (let i = 0; i < MEMORY_RUNS; i++) {
    await prepare(pair);
    rounds.push((await pair.extraMemory(() => ours(pair))) / MIB);
  }
  const values = { savevm: figure(library, rounds, row.limits) };
  return { id: row.id, title: row.title, unit: "MiB", better: "lower", values, ratios: [] };
}

/** The rows of a guest of that size. Each has `measure(pair, row, { library, pairs })`, for a pair filled with its `mix`. */
export function rowsOf(mebibytes) {
  const bytes = mebibytes * MIB;
  return Object.keys(OPERATIONS[0].limits).flatMap((mix) =>
    OPERATIONS.flatMap((operation) => {
      const { verb, title, limits } = operation;
      const guest = `${mebibytes} MiB guest, ${mix}`;
      const row = { mix, bytes, operation };
      return [
        {
          ...row,
          id: `peer/${verb}/${mebibytes}MiB/${mix}`,
          title: `${title}, ${guest}`,
          limits: limits[mix],
          measure: measureTime,
        },
        {
          ...row,
          id: `peer/${verb}-memory/${mebibytes}MiB/${mix}`,
          title: `extra memory of a ${title}, ${guest}`,
          limits: [4, 1],
          measure: measureMemory,
        },
      ];
    }),
  );
}
