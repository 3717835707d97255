from .job import Job as Job
from .project import generate_project as generate_project
