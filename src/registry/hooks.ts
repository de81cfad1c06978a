import { wrapHookError } from "../vmstate/access.js";

/**
 * Delegate to a handler's generator. What the handler itself throws becomes a StateError HOOK_FAILED with its cause;
 * what the driver throws in at a yield (the reason of an abort, a failed channel) passes unchanged.
 */
export function* runHandler<Y, T>(hook: () => Generator<Y, T, void>, action: string): Generator<Y, T, void> {
  const injected = new Set<unknown>();
  const run = <R>(step: () => R): R => {
    try {
      return step();
    } catch (error) {
      throw injected.has(error) ? error : wrapHookError(error, action);
    }
  };
  const body = run(hook);
  let step = run(() => body.next());
  while (step.done !== true) {
    let failure: { readonly error: unknown } | null = null;
    try {
      yield step.value;
    } catch (error) {
      injected.add(error);
      failure = { error };
    }
    const thrown = failure;
    step = run(() => (thrown === null ? body.next() : body.throw(thrown.error)));
  }
  return step.value;
}

/** Call a handler's own code, wrapping what it throws. */
export function callHandler<T>(hook: () => T, action: string): T {
  try {
    return hook();
  } catch (error) {
    throw wrapHookError(error, action);
  }
}
