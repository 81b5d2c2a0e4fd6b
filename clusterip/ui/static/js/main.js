import { App } from "./app.js";
import { begin } from "./session.js";

begin();
new App().start();
