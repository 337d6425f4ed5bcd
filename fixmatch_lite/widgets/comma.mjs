// Where the browser's number field drops a comma, it was meant as the decimal sign.
export function takeComma(input) {
  let heard = false;
  input.addEventListener("input", () => (heard = true));
  input.addEventListener("beforeinput", (event) => {
    if (event.data !== ",") return;
    heard = false;
    setTimeout(() => heard || document.execCommand("insertText", false, "."));
  });
}
