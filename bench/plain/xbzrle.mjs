// XBZRLE in plain JavaScript: equal words are skipped, differing bytes copied one by one, long runs at once.

export function xbzrleEncode({ u8, u32 }, oldPage, newPage, length, out, capacity) {
  const limit = out + capacity;
  const aligned = ((oldPage | newPage) & 3) === 0;
  let at = out;
  let i = 0;
  while (i < length) {
    if (at + 2 > limit) return -1;
    const equal = i;
    while (i < length) {
      if (aligned && (i & 3) === 0) {
        let a = (oldPage + i) >>> 2;
        let b = (newPage + i) >>> 2;
        const end = (oldPage + length) >>> 2;
        while (a < end && u32[a] === u32[b]) {
          a++;
          b++;
        }
        i = a * 4 - oldPage;
        if (i >= length) break;
      }
      if (u8[oldPage + i] !== u8[newPage + i]) break;
      i++;
    }
    if (i - equal === length) return 0;
    if (i === length) break;
    const same = i - equal;
    if (same > 16383) return -1;
    if (same > 127) u8[at++] = (same & 127) | 128;
    u8[at++] = same > 127 ? same >>> 7 : same;
    if (at + 2 > limit) return -1;
    const start = i;
    while (i < length && u8[oldPage + i] !== u8[newPage + i]) i++;
    const run = i - start;
    if (run > 16383) return -1;
    if (run > 127) u8[at++] = (run & 127) | 128;
    u8[at++] = run > 127 ? run >>> 7 : run;
    if (at + run > limit) return -1;
    if (run < 48) for (let j = newPage + start; j < newPage + i; j++) u8[at++] = u8[j];
    else {
      u8.copyWithin(at, newPage + start, newPage + i);
      at += run;
    }
  }
  return at - out;
}

export function xbzrleDecode({ u8 }, src, length, page, pageSize) {
  const end = src + length;
  const pageEnd = page + pageSize;
  let at = src;
  let to = page;
  while (at < end) {
    if (end - at < 2) return -1;
    let run = u8[at++];
    if (run > 127) {
      const high = u8[at++];
      if (high > 127) return -1;
      run = (run & 127) | (high << 7);
    }
    if (run === 0 && to !== page) return -1;
    to += run;
    if (to > pageEnd || end - at < 2) return -1;
    run = u8[at++];
    if (run > 127) {
      const high = u8[at++];
      if (high > 127) return -1;
      run = (run & 127) | (high << 7);
    }
    if (run === 0 || run > pageEnd - to || run > end - at) return -1;
    if (run < 48) for (const stop = at + run; at < stop; at++) u8[to++] = u8[at];
    else {
      u8.copyWithin(to, at, at + run);
      at += run;
      to += run;
    }
  }
  return to - page;
}
