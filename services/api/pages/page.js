// The one-time token stands behind the "#": it is in no request for this page, and goes to the server once.
"use strict";

const said = document.getElementById("said");
const form = document.getElementById("join");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const answer = await fetch("/v1/invitations/accept", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      token: location.hash.slice(1),
      password: fields.get("password"),
      ...(fields.get("name") ? { name: fields.get("name") } : {}),
    }),
  });
  const told = await answer.json();
  said.textContent = answer.ok ? `Welcome. You can sign in as ${told.email} now.` : told.detail;
  form.hidden = answer.ok;
});
