/** The way in, and no more: who has to sign in first is sent there before the app itself is loaded. */

import { isBack, session } from "./session/sign-in"

const signedIn = session()
const show = () => void import("./boot").then(({ boot }) => boot(signedIn))
if (isBack()) show()
else signedIn.catch(show) // the sign-in page is not reached: the app says so
