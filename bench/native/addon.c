// Node-API glue: bind(buffer), and one function for each reference.

#include "references.h"

#include <node_api.h>

#define MOST_ARGUMENTS 12

typedef uint32_t (*reference)(uint8_t *memory, const uint32_t *argument);

static uint8_t *memory;
static napi_ref holder;

static napi_value bind_memory(napi_env env, napi_callback_info info) {
  size_t count = 1, length, offset;
  napi_typedarray_type type;
  napi_value bytes, buffer;
  void *data;
  napi_get_cb_info(env, info, &count, &bytes, NULL, NULL);
  if (napi_get_typedarray_info(env, bytes, &type, &length, &data, &buffer, &offset) != napi_ok) {
    napi_throw_type_error(env, NULL, "bind: want a Uint8Array over the whole memory");
    return NULL;
  }
  if (holder) napi_delete_reference(env, holder);
  napi_create_reference(env, bytes, 1, &holder);
  memory = data;
  return NULL;
}

static napi_value call(napi_env env, napi_callback_info info) {
  size_t count = MOST_ARGUMENTS;
  napi_value values[MOST_ARGUMENTS], result;
  uint32_t arguments[MOST_ARGUMENTS];
  void *function;
  napi_get_cb_info(env, info, &count, values, NULL, &function);
  if (!memory || count > MOST_ARGUMENTS) {
    napi_throw_error(env, NULL, memory ? "too many arguments" : "bind comes first");
    return NULL;
  }
  for (size_t i = 0; i < count; i++) napi_get_value_uint32(env, values[i], &arguments[i]);
  napi_create_uint32(env, ((reference)function)(memory, arguments), &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "bind", NAPI_AUTO_LENGTH, bind_memory, NULL, &function);
  napi_set_named_property(env, exports, "bind", function);
#define EXPORT(name)                                                                     \
  napi_create_function(env, #name, NAPI_AUTO_LENGTH, call, (void *)(name), &function); \
  napi_set_named_property(env, exports, #name, function);
  REFERENCES(EXPORT)
#undef EXPORT
  return exports;
}
