"""The pages of signing in, people, badges, registers and the school. Each router is listed, so that a test sees every route."""

from service.people.pages import (
    account,
    badges,
    classes,
    dbs,
    factors,
    people,
    post,
    power,
    profile,
    roster,
    school,
    setup,
    sign_in,
    step_up,
)

ROUTERS = (
    sign_in.router, account.router, factors.router, step_up.router, badges.router, roster.router, people.router, classes.router,
    dbs.router, profile.router, school.router, setup.router,
    power.router, post.router,
)
