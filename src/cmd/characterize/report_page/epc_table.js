// What was predicted and measured at the EPC sizes asked for, as a table.
function drawEpcTable() {
  const most = Math.max(...sizes.map(size => size.loads || 0), 1);
  const measured = sizes.some(size => size.measured);
  const number = (title, valueOf, more = {}) => ({
    title,
    number: true,
    key: size => valueOf(size) || 0,
    cell: size => numberCell(exactText(valueOf(size))),
    ...more,
  });
  const columns = [
    {title: "Secure memory", key: size => size.bytes, cell: size => textCell(bytesText(size.bytes))},
    number("Loads predicted", size => size.loads, {
      cell: size => amountCell(exactText(size.loads), size.loads / most),
    }),
    ...(measured
      ? [
          number("Loads measured", size => (size.measured || {}).loads, {cell: measuredCell}),
          number("Predicted over measured", size => (size.measured || {}).difference, {
            cell: size => {
              const off = (size.measured || {}).difference;
              const cell = numberCell(isNumber(off) ? percentText(1 + off) : "–");
              if (isNumber(off) && Math.abs(off) > 0.1) cell.classList.add("over");
              return cell;
            },
          }),
        ]
      : []),
    number("Evictions", size => size.evictions),
    number("Loads of LRU", size => size.lru_loads),
    {
      title: "Cycles at 12,000 to 40,000 a load",
      key: size => size.loads,
      number: true,
      cell: size =>
        numberCell(
          size.bytes <= (found.epc.pinned_bytes || 0)
            ? "what is pinned does not fit"
            : cyclesText(size.loads),
        ),
    },
  ];
  sortedTable(byId("epc-table"), columns, sizes, () => {});
}

function measuredCell(size) {
  const measured = size.measured || {};
  if (measured.error) return wordsCell(String(measured.error));
  return numberCell(exactText(measured.loads));
}
