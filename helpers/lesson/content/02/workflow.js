// One workflow in the three styles of Node.js: a user, then two lists at once.
//
//     node workflow.js BASE_URL USER_ID
//
// prints {"callbacks": …, "promises": …, "async": …}, each {"name", "videos", "friends"}
// or {"error": message}.

const http = require("node:http");

// -- callbacks: (error, value), the error first ---------------------------------------

function getJSON(url, callback) {
  const request = http.get(url, { agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk) => (text += chunk));
    response.on("error", callback);
    response.on("end", () => {
      const { statusCode, statusMessage } = response;
      const path = new URL(url).pathname;
      if (statusCode >= 400)
        return callback(new Error(`${path}: ${statusCode} ${statusMessage}`));
      let value;
      try {
        value = JSON.parse(text);
      } catch (error) {
        return callback(error);
      }
      callback(null, value); // outside of try: what it throws is not ours to catch
    });
  });
  request.on("error", callback);
}

function profileThen(user, callback) {
  getJSON(user, (error, person) => {
    if (error) return callback(error);
    const found = {};
    let failed = false;
    for (const list of ["videos", "friends"]) {
      getJSON(`${user}/${list}`, (error, items) => {
        if (failed) return; // the caller knows already
        if (error) {
          failed = true;
          return callback(error);
        }
        found[list] = items;
        const { videos, friends } = found;
        if (videos && friends) callback(null, combine(person, videos, friends));
      });
    }
  });
}

// -- promises -------------------------------------------------------------------------

function fetchJSON(url) {
  return new Promise((resolve, reject) => {
    getJSON(url, (error, value) => (error ? reject(error) : resolve(value)));
  });
}

function profilePromise(user) {
  return fetchJSON(user).then((person) =>
    Promise.all([
      fetchJSON(`${user}/videos`),
      fetchJSON(`${user}/friends`),
    ]).then(([videos, friends]) => combine(person, videos, friends)),
  );
}

// -- async/await ----------------------------------------------------------------------

async function profile(user) {
  const person = await fetchJSON(user);
  const [videos, friends] = await Promise.all([
    fetchJSON(`${user}/videos`),
    fetchJSON(`${user}/friends`),
  ]);
  return combine(person, videos, friends);
}

// -- all three ------------------------------------------------------------------------

function combine(person, videos, friends) {
  return { name: person.name, videos: videos.length, friends: friends.length };
}

async function main(base, id) {
  const user = `${base}/users/${id}`;
  const told = (error) => ({ error: error.message });
  const callbacks = await new Promise((resolve) => {
    profileThen(user, (error, value) => resolve(error ? told(error) : value));
  });
  const promises = await profilePromise(user).catch(told);
  const async = await profile(user).catch(told);
  console.log(JSON.stringify({ callbacks, promises, async }));
}

main(process.argv[2], process.argv[3]);
