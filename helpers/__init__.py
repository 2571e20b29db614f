"""The scaffolding behind the cells of the Backend Communication Workbook.

Each room is imported on its own (`from helpers.server import Server`), so that
a cell pays only for what it uses. A room imports only from rooms below it:

    show        pictures and widgets; the only room that draws
    lesson      predictions, claims, the ledger, quizzes, lab checks
    engines     the real thing, started on demand
    servers     small servers, written to be read
    measure     load and its results
    network     the link between client and server, and what crossed it
    server      one server = one thread, one event loop, one loopback port
    kernel, child   what ties a server to the notebook's cell and process
"""
