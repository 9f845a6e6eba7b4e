// Tables that sort by any column, with bars for amounts.
function amountCell(text, ...ratios) {
  const cell = element("td", {className: "amount"}, text);
  ratios.forEach((ratio, index) => {
    const bar = element("i");
    bar.style.width = `${Math.min(Math.max(ratio, 0), 1) * 100}%`;
    cell.append(element("div", {className: index === 0 ? "track" : "track second"}, bar));
  });
  return cell;
}

const numberCell = text => element("td", {className: "number", textContent: text});
const textCell = text => element("td", {textContent: text});
const wordsCell = text => element("td", {className: "words", textContent: text});

// columns: [{title, key: row => value, cell: row => <td>, number: whether it is one}]. Returns its rows' elements.
function sortedTable(table, columns, rows, rowMade) {
  const body = element("tbody");
  const made = rows.map((row, index) => {
    const tr = element("tr", {}, ...columns.map(column => column.cell(row)));
    rowMade(tr, row, index);
    return tr;
  });
  const heads = columns.map((column, at) => {
    const button = element("button", {type: "button", textContent: column.title});
    const head = element("th", {scope: "col", className: column.number ? "number" : ""}, button);
    button.addEventListener("click", () => {
      // At first amounts go from the largest, all else upwards; a second click turns it round.
      const downFirst = column.number === true && at > 0;
      const down =
        downFirst !== (head.getAttribute("aria-sort") === (downFirst ? "descending" : "ascending"));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keys = rows.map(column.key);
      const order = rows
        .map((_, index) => index)
        .sort((a, b) => {
          const left = keys[a],
            right = keys[b];
          const difference = typeof left === "string" ? left.localeCompare(right) : left - right;
          return (down ? -difference : difference) || a - b;
        });
      body.append(...order.map(index => made[index]));
    });
    return head;
  });
  body.append(...made);
  table.append(element("thead", {}, element("tr", {}, ...heads)), body);
  return made;
}
