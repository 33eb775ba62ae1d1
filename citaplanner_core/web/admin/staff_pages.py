"""All staff pages, registered by being imported."""

from citaplanner_core.web.admin import account as account
from citaplanner_core.web.admin import appointments as appointments
from citaplanner_core.web.admin import clients as clients
from citaplanner_core.web.admin import closed_days as closed_days
from citaplanner_core.web.admin import day as day
from citaplanner_core.web.admin import hours as hours
from citaplanner_core.web.admin import people as people
from citaplanner_core.web.admin import services as services
from citaplanner_core.web.admin import sign_in as sign_in
from citaplanner_core.web.admin import week as week
from citaplanner_core.web.admin.base import blueprint as blueprint
from citaplanner_core.web.admin.base import init_csrf as init_csrf
