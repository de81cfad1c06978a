// Which pages are zero or changed, in plain JavaScript over words of 32 bits; addresses are multiples of 4.

export function zeroPageMask({ u32 }, src, pageSize, count) {
  let mask = 0;
  const words = pageSize >>> 2;
  for (let page = 0, start = src >>> 2; page < count; page++, start += words) {
    const end = start + words;
    let at = start;
    if ((u32[at] | u32[at + (words >>> 1)] | u32[end - 1]) !== 0) continue;
    while (at < end) {
      const low = u32[at] | u32[at + 1] | u32[at + 2] | u32[at + 3];
      const high = u32[at + 4] | u32[at + 5] | u32[at + 6] | u32[at + 7];
      if ((low | high) !== 0) break;
      at += 8;
    }
    if (at === end) mask |= 1 << page;
  }
  return mask >>> 0;
}

export function changedPageMask({ u32 }, a, b, pageSize, count) {
  let mask = 0;
  const words = pageSize >>> 2;
  const distance = (b - a) >> 2;
  for (let page = 0, start = a >>> 2; page < count; page++, start += words) {
    const end = start + words;
    let at = start;
    for (; at < end; at += 4) {
      const other = at + distance;
      const low = (u32[at] ^ u32[other]) | (u32[at + 1] ^ u32[other + 1]);
      const high = (u32[at + 2] ^ u32[other + 2]) | (u32[at + 3] ^ u32[other + 3]);
      if ((low | high) !== 0) break;
    }
    if (at < end) mask |= 1 << page;
  }
  return mask >>> 0;
}
