import { render } from "preact";

function App() {
  return <h1>rientro</h1>;
}

const place = document.getElementById("app");
if (place !== null) render(<App />, place);
