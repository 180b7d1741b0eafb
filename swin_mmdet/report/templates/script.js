'use strict';

// tables: a click on a head sorts by its column
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = (cell.dataset.value ?? cell.textContent).replace(/[\s\u202f]/g, '');
    return text === '–' ? -Infinity : Number(text);
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const sort = () => {
      const falling = head.getAttribute('aria-sort') !== 'descending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
      const rows = [...body.rows];
      const numeric = rows.every((row) => !Number.isNaN(value(row, column)));
      const compare = numeric
        ? (a, b) => value(b, column) - value(a, column) || 0
        : (a, b) => b.cells[column].textContent.localeCompare(a.cells[column].textContent);
      rows.sort((a, b) => (falling ? compare(a, b) : compare(b, a)));
      body.append(...rows);
    };
    head.setAttribute('role', 'button');
    head.tabIndex = 0;
    head.addEventListener('click', sort);
    head.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') sort();
    });
  });
}

// curves: one class stands out, chosen in the list or by its row in the table
const curveClass = document.getElementById('curve-class');
if (curveClass) {
  const show = () => {
    for (const group of document.querySelectorAll('#curves g[id*="-class-"]')) {
      const chosen = curveClass.value !== '' && group.id.endsWith(`-class-${curveClass.value}`);
      group.classList.toggle('class-on', chosen);
      group.classList.toggle('class-off', curveClass.value !== '' && !chosen);
      // above the others
      if (chosen) group.parentNode.append(group);
    }
    for (const row of document.querySelectorAll('table.classes tr[data-class]')) {
      row.classList.toggle('on', row.dataset.class === curveClass.value);
    }
  };
  curveClass.addEventListener('change', show);
  for (const row of document.querySelectorAll('table.classes tr[data-class]')) {
    row.addEventListener('click', () => {
      curveClass.value = row.dataset.class === curveClass.value ? '' : row.dataset.class;
      show();
    });
  }
}

// the gallery: an image is shown if one of its errors is of the kind and of the class
const filters = document.getElementById('filters');
if (filters) {
  const kind = document.getElementById('filter-kind');
  const label = document.getElementById('filter-class');
  const cards = [...document.querySelectorAll('.shot')];
  const show = () => {
    let shown = 0;
    for (const card of cards) {
      const fits = card.dataset.errors.split(' ').some((mark) => {
        const [ofKind, ofClass] = mark.split(':');
        return (kind.value === '' || kind.value === ofKind) && (label.value === '' || label.value === ofClass);
      });
      card.hidden = !fits;
      shown += fits;
    }
    document.getElementById('filtered').value = `${shown} of ${cards.length} images`;
  };
  filters.addEventListener('change', show);
  filters.addEventListener('submit', (event) => event.preventDefault());
  show();
  for (const card of cards) card.addEventListener('click', () => card.classList.toggle('wide'));
}
