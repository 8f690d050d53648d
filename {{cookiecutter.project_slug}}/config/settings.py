"""Settings of this service: each variable of the environment is declared here, once.

https://docs.djangoproject.com/en/6.1/ref/settings/
"""

from pathlib import Path
from typing import Any

from django.utils.csp import CSP

{% if cookiecutter.error_tracking == "bugsnag" %}
from config import bugsnag, logs, process
{% elif cookiecutter.error_tracking == "sentry" %}
from config import logs, process, sentry
{% else %}
from config import logs, process
{% endif %}
from config.variables import (
    Variables,
    check_host,
    check_language,
    check_origin,
    check_path,
    check_time_zone,
)

BASE_DIR = Path(__file__).resolve().parent.parent
PRIVATE_NETWORKS = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
env = Variables(BASE_DIR / ".env")

# Identity and secrets

DEBUG = env.debug_mode(
    "DEBUG",
    "Development mode: error pages with tracebacks, no TLS, and no variable is required.",
)
SITE_NAME = env.text(
    "SITE_NAME",
    "Name of the service, as its pages show it.",
    default={{ cookiecutter.__python_name }},
)
ENVIRONMENT = env.text(
    "ENVIRONMENT",
    "Name of this installation.",
    default="production",
)
RELEASE = env.text(
    "RELEASE",
    "Version of the code that runs here, for monitoring.",
    default="",
)
SECRET_KEY = env.secret_key(
    "SECRET_KEY",
    "Signs sessions and tokens; `python -c 'import secrets; print(secrets.token_urlsafe(50))'` prints a new one.",
    example="change-me-to-50-random-characters",
)
SECRET_KEY_FALLBACKS = env.secret_keys(
    "SECRET_KEY_FALLBACKS",
    "Former secret keys, separated by commas, that are still accepted, so that a new one logs nobody out.",
    default=[],
)

# Hosts and transport

ALLOWED_HOSTS = env.texts(
    "ALLOWED_HOSTS",
    "Host names that this service answers to, besides the health paths.",
    example="{{ cookiecutter.domain_name }}",
    check=check_host,
)
ALLOWED_CIDR_NETS = env.networks(
    "ALLOWED_CIDR_NETS",
    "Address ranges that may stand in the Host header, for callers inside the network.",
    example="10.0.0.0/8",
)
TRUSTED_PROXIES = env.networks(
    "TRUSTED_PROXIES",
    "Address ranges of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    default=PRIVATE_NETWORKS,
)
CSRF_TRUSTED_ORIGINS = env.texts(
    "CSRF_TRUSTED_ORIGINS",
    "Other origins whose forms are accepted, each with its scheme.",
    default=[],
    example="https://forms.{{ cookiecutter.domain_name }}",
    check=check_origin,
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.boolean(
    "SECURE_SSL_REDIRECT",
    "Send plain HTTP requests to HTTPS.",
    default=not DEBUG,
)
SECURE_HSTS_SECONDS = env.integer(
    "SECURE_HSTS_SECONDS",
    "How long browsers remember to use HTTPS only, in seconds.",
    default=0 if DEBUG else 31_536_000,
)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.boolean(
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "Whether browsers use HTTPS only for all subdomains, too.",
    default=True,
)
SECURE_HSTS_PRELOAD = env.boolean(
    "SECURE_HSTS_PRELOAD",
    "Whether browsers may ship with the rule to use HTTPS only; hard to take back once a domain is listed.",
    default=True,
)
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    "camera": [],
    "display-capture": [],
    "geolocation": [],
    "microphone": [],
    "payment": [],
    "usb": [],
}

# Application

ROOT_URLCONF = "config.urls"
AUTH_USER_MODEL = "users.User"
ADMIN_URL = env.text(
    "ADMIN_URL",
    "Path of the admin, with a slash at its end.",
    default="admin/",
    check=check_path,
)
INSTALLED_APPS = [
    "apps.common",
    "apps.notes",
    "apps.users",
{% if cookiecutter.use_dbbackup %}
    "dbbackup",
{% endif %}
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "dockerflow.django",
{% if cookiecutter.api == "drf" %}
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
{% endif %}
{% if cookiecutter.api == "ninja" %}
    "ninja",
{% endif %}
{% if cookiecutter.task_queue == "database" %}
    "django_tasks_db",
{% endif %}
]
MIDDLEWARE = [
    "apps.common.middleware.RequestMiddleware",
    "apps.common.middleware.HealthMiddleware",
    "apps.common.middleware.TrustedProxyMiddleware",
{% if cookiecutter.use_prometheus %}
    "apps.common.metrics.MetricsMiddleware",
{% endif %}
    "allow_cidr.middleware.AllowCIDRMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# Cheaper than in cookies, for which Django makes a signer for each request.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
{% if cookiecutter.api != "none" %}

# API

API_TOKEN_AGE = env.integer(
    "API_TOKEN_AGE",
    "How long a token for the API is valid, in seconds.",
    default=30 * 24 * 60 * 60,
    minimum=1,
)
API_CALLS_PER_MINUTE = env.integer(
    "API_CALLS_PER_MINUTE",
    "How many calls of the API each user has a minute.",
    default=600,
    minimum=1,
)
{% endif %}
{% if cookiecutter.api == "drf" %}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.users.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PAGINATION_CLASS": "apps.common.pagination.Pagination",
    "DEFAULT_PARSER_CLASSES": ["apps.common.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": f"{API_CALLS_PER_MINUTE}/minute"},
    "EXCEPTION_HANDLER": "apps.common.exceptions.handle",
    # The address of a client is what TrustedProxyMiddleware says.
    "NUM_PROXIES": 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": SITE_NAME,
    "VERSION": "1.0.0",
    "COMPONENT_SPLIT_REQUEST": True,
    # Making the schema is for `manage.py check --deploy`, not for each heartbeat.
    "ENABLE_DJANGO_DEPLOY_CHECK": process.role != "server",
    "POSTPROCESSING_HOOKS": ["apps.common.exceptions.describe"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
}
{% endif %}

# Database

DATABASES = {
    "default": env.database(
        "DATABASE_URL",
        "The database, PostgreSQL 15 or newer.",
        development=f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
        example="postgres://{{ cookiecutter.project_slug }}:change-me@postgres:5432/{{ cookiecutter.project_slug }}",
    ),
}
DATABASE_POOLER = env.boolean(
    "DATABASE_POOLER",
    "Whether a pooler such as PgBouncer lends the connections, each for one transaction.",
    default=False,
)
DATABASE_CONNECT_TIMEOUT = env.integer(
    "DATABASE_CONNECT_TIMEOUT",
    "How long connecting to the database may take, in seconds.",
    default=2,
    minimum=1,
)
DATABASE_STATEMENT_TIMEOUT = env.integer(
    "DATABASE_STATEMENT_TIMEOUT",
    "How long one statement of a request may take, in milliseconds; 0 for no limit.",
    default=10_000,
)
DATABASE_LOCK_TIMEOUT = env.integer(
    "DATABASE_LOCK_TIMEOUT",
    "How long a statement of a request may wait for a lock, in milliseconds; 0 for no limit.",
    default=5_000,
)
MIGRATION_LOCK_TIMEOUT = env.integer(
    "MIGRATION_LOCK_TIMEOUT",
    "How long a migration may wait for a lock, in milliseconds, while others wait behind it.",
    default=2_000,
)
{% if cookiecutter.__asgi %}
DATABASE_POOL_SIZE = env.integer(
    "DATABASE_POOL_SIZE",
    "How many database connections each server process may open.",
    default=8,
    minimum=1,
)
{% else %}
DATABASES["default"]["CONN_MAX_AGE"] = env.integer(
    "CONN_MAX_AGE",
    "How long a thread keeps its database connection, in seconds.",
    default=60,
)
{% endif %}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_POOLER
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    options = DATABASES["default"].setdefault("OPTIONS", {})
    options.setdefault("fallback_application_name", f"{{ cookiecutter.project_slug }}-{process.role}")
    options.setdefault("connect_timeout", DATABASE_CONNECT_TIMEOUT)
    # A server that is gone without a word is noticed after ten seconds.
    options.setdefault("keepalives_idle", 5)
    options.setdefault("keepalives_interval", 5)
    options.setdefault("tcp_user_timeout", 10_000)
    # A pooler lends one connection to many: it has the time-outs from its own configuration.
    if process.role == "server" and not DATABASE_POOLER:
        options.setdefault(
            "options",
            f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT}"
            f" -c lock_timeout={DATABASE_LOCK_TIMEOUT}",
        )
{% if cookiecutter.__asgi %}
    if process.role == "server":
        options["pool"] = {
            "min_size": 1,
            "max_size": DATABASE_POOL_SIZE,
            "timeout": DATABASE_CONNECT_TIMEOUT,
            # Otherwise attempts grow apart during an outage, and go on doing so after it.
            "reconnect_timeout": 1,
        }
{% endif %}
{% if cookiecutter.use_redis %}

# Cache

REDIS_URL = env.url(
    "REDIS_URL",
    "Redis, for the cache only: without it the service is slower, not down.",
    schemes={"redis", "rediss"},
    example="redis://redis:6379/0",
)
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "{{ cookiecutter.project_slug }}",
            "OPTIONS": {
{% if cookiecutter.use_prometheus %}
                "CLIENT_CLASS": "apps.common.cache_metrics.Client",
{% else %}
                "CLIENT_CLASS": "apps.common.cache.Client",
{% endif %}
                "SOCKET_CONNECT_TIMEOUT": 0.25,
                "SOCKET_TIMEOUT": 0.25,
                "IGNORE_EXCEPTIONS": True,
            },
        },
    }
{% endif %}
{% if cookiecutter.task_queue == "database" %}

# Background tasks

TASKS = {
    "default": {
        "BACKEND": (
            "django.tasks.backends.immediate.ImmediateBackend"
            if DEBUG
            else "django_tasks_db.DatabaseBackend"
        ),
    },
}
{% endif %}
{% if cookiecutter.__celery %}

# Background tasks

{% if cookiecutter.task_queue == "rabbitmq" %}
CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL",
    "RabbitMQ, which keeps the tasks until a worker has done them.",
    schemes={"amqp", "amqps"},
    example="amqp://{{ cookiecutter.project_slug }}:change-me@rabbitmq:5672/",
)
{% else %}
CELERY_BROKER_URL = env.url(
    "CELERY_BROKER_URL",
    "Redis, which keeps the tasks until a worker has done them.",
    schemes={"redis", "rediss"},
    example="redis://redis:6379/1",
)
{% endif %}
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 270
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20
CELERY_BEAT_MAX_LOOP_INTERVAL = 60
CELERY_BEAT_SCHEDULER = "config.celery:Scheduler"
CELERY_BEAT_SCHEDULE = {
    # Counted from the start of the scheduler: what is due once a day takes a crontab, or each
    # release would put it off.
    "remove-expired-sessions": {
        "task": "apps.users.tasks.remove_expired_sessions",
        "schedule": 60 * 60,
    },
}
{% endif %}
{% if cookiecutter.task_queue == "rabbitmq" %}
CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
# A certificate has to bear the name of the broker, which Celery fills in.
CELERY_BROKER_USE_SSL = CELERY_BROKER_URL.startswith("amqps:") and {"server_hostname": None}
# A broker that is full does not even answer that a connection closes.
CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True, "read_timeout": 1.5}
{% endif %}
{% if cookiecutter.task_queue == "redis" %}
# After this time a task goes to another worker, if its own was killed: no task takes longer.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 2,
    "socket_timeout": 2,
    "visibility_timeout": 600,
}
{% endif %}
{% if cookiecutter.use_elasticsearch %}

# Search

ELASTICSEARCH_URL = env.url(
    "ELASTICSEARCH_URL",
    "Elasticsearch, with its port; user name and password may stand in it.",
    schemes={"http", "https"},
    example="https://elasticsearch:9200",
)
ELASTICSEARCH_API_KEY = env.text(
    "ELASTICSEARCH_API_KEY",
    "API key for Elasticsearch, instead of a user name and password.",
    default="",
)
ELASTICSEARCH_CA_CERTS = env.text(
    "ELASTICSEARCH_CA_CERTS",
    "File with the certificate of the authority that Elasticsearch is to be trusted by.",
    default="",
)
{% endif %}

# Static files

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    },
}
{% if cookiecutter.static_files == "whitenoise" %}
STORAGES["staticfiles"]["BACKEND"] = "whitenoise.storage.CompressedManifestStaticFilesStorage"
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_IMMUTABLE_FILE_TEST = r"\.[0-9a-f]{12}(\.|$)"
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
MIDDLEWARE.insert(
    MIDDLEWARE.index("django.middleware.gzip.GZipMiddleware"),
    "apps.common.static_files.StaticFilesMiddleware",
)
{% endif %}
{% if cookiecutter.static_files == "s3" %}
AWS_STORAGE_BUCKET_NAME = env.text(
    "AWS_STORAGE_BUCKET_NAME",
    "Bucket that holds the static files; the credentials are those of the AWS SDK.",
    example="{{ cookiecutter.__kebab }}-static",
)
AWS_S3_REGION_NAME = env.text(
    "AWS_S3_REGION_NAME", "Region of the bucket of static files.", default="us-east-1"
)
AWS_S3_ENDPOINT_URL = env.url(
    "AWS_S3_ENDPOINT_URL",
    "Address of the storage with the bucket of static files, if it is not Amazon's.",
    schemes={"http", "https"},
    default="",
    example="https://s3.{{ cookiecutter.domain_name }}",
)
AWS_S3_CUSTOM_DOMAIN = env.text(
    "AWS_S3_CUSTOM_DOMAIN",
    "Host name of a CDN in front of the bucket of static files.",
    default="",
    example="static.{{ cookiecutter.domain_name }}",
)
if AWS_STORAGE_BUCKET_NAME:
    static_domain = AWS_S3_CUSTOM_DOMAIN
    if not AWS_S3_CUSTOM_DOMAIN and not AWS_S3_ENDPOINT_URL:
        static_domain = f"{AWS_STORAGE_BUCKET_NAME}.s3.{AWS_S3_REGION_NAME}.amazonaws.com"
    STORAGES["staticfiles"] = {
        "BACKEND": "apps.common.bucket.StaticStorage",
        "OPTIONS": {
            "bucket_name": AWS_STORAGE_BUCKET_NAME,
            "region_name": AWS_S3_REGION_NAME,
            "endpoint_url": AWS_S3_ENDPOINT_URL or None,
            "custom_domain": static_domain or None,
            "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
            "gzip": True,
            "querystring_auth": False,
        },
    }
    static_origin = f"https://{static_domain}" if static_domain else AWS_S3_ENDPOINT_URL
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        SECURE_CSP.setdefault(directive, [CSP.SELF]).append(static_origin)
{% endif %}
{% if cookiecutter.use_dbbackup %}

# Backups

BACKUP_DIRECTORY = env.text(
    "BACKUP_DIRECTORY",
    "Folder that keeps the backups, and holds a new one before it goes to a bucket.",
    default="/backups",
)
BACKUP_S3_BUCKET = env.text(
    "BACKUP_S3_BUCKET",
    "Bucket that keeps the backups instead of a folder, apart for each ENVIRONMENT; the credentials are those of the AWS SDK.",
    default="",
    example="{{ cookiecutter.__kebab }}-backups",
)
BACKUP_S3_REGION_NAME = env.text(
    "BACKUP_S3_REGION_NAME", "Region of the bucket of backups.", default="us-east-1"
)
BACKUP_S3_ENDPOINT_URL = env.url(
    "BACKUP_S3_ENDPOINT_URL",
    "Address of the storage with the bucket of backups, if it is not Amazon's.",
    schemes={"http", "https"},
    default="",
    example="https://s3.{{ cookiecutter.domain_name }}",
)
BACKUP_KEEP = env.integer("BACKUP_KEEP", "How many backups are kept.", default=14, minimum=1)
BACKUP_PUBLIC_KEY = env.text(
    "BACKUP_PUBLIC_KEY",
    "OpenPGP key that backups are encrypted with, as text; without it they are not.",
    default="",
)
BACKUP_PRIVATE_KEY = env.text(
    "BACKUP_PRIVATE_KEY",
    "OpenPGP key that backups are decrypted with, as text without a passphrase; only restoring needs it.",
    default="",
)
STORAGES["dbbackup"] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": BACKUP_DIRECTORY, "file_permissions_mode": 0o600},
}
if BACKUP_S3_BUCKET:
    STORAGES["dbbackup"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": BACKUP_S3_BUCKET,
            # What another environment keeps there is neither removed nor restored.
            "location": f"{{ cookiecutter.__kebab }}/{ENVIRONMENT}",
            "region_name": BACKUP_S3_REGION_NAME,
            "endpoint_url": BACKUP_S3_ENDPOINT_URL or None,
            "custom_domain": None,
        },
    }
DBBACKUP_FILENAME_TEMPLATE = "{{ cookiecutter.__kebab }}-{datetime}.{extension}"
DBBACKUP_SEND_EMAIL = False
DBBACKUP_TMP_DIR = BACKUP_DIRECTORY
{% endif %}

# E-mail

MAILERS = {
    "default": {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": env.text(
                "EMAIL_HOST",
                "Server that takes outgoing e-mail.",
                example="smtp.{{ cookiecutter.domain_name }}",
            ),
            "port": env.integer(
                "EMAIL_PORT", "Port of the mail server.", default=587, minimum=1, maximum=65535
            ),
            "username": env.text("EMAIL_HOST_USER", "User name at the mail server.", default=""),
            "password": env.text("EMAIL_HOST_PASSWORD", "Password at the mail server.", default=""),
            "use_tls": env.boolean(
                "EMAIL_USE_TLS",
                "Encrypt the connection to the mail server with STARTTLS.",
                default=True,
            ),
            "timeout": 10,
        },
    },
}
if DEBUG:
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text(
    "DEFAULT_FROM_EMAIL",
    "Sender of outgoing e-mail.",
    default="noreply@{{ cookiecutter.domain_name }}",
)

# Language and time

LANGUAGE_CODE = env.text(
    "LANGUAGE_CODE",
    "Language of the admin and of the messages of forms.",
    default="en-us",
    check=check_language,
)
TIME_ZONE = env.text(
    "TIME_ZONE",
    "Time zone in which people see times.",
    default="UTC",
    check=check_time_zone,
)

# Health

STARTUP_CHECKS = env.choice(
    "STARTUP_CHECKS",
    "What happens at the start if a dependency is down: strict ends the process, warn logs it, off does not look.",
    default="strict",
    choices=("strict", "warn", "off"),
)
STARTUP_TIMEOUT = env.integer(
    "STARTUP_TIMEOUT",
    "How long the start waits for dependencies, in seconds.",
    default=30,
)
EXTERNAL_SERVICES = env.services(
    "EXTERNAL_SERVICES",
    "Health endpoints of other APIs this service calls; name?=URL marks one as optional.",
    example="billing=https://billing.{{ cookiecutter.domain_name }}/health",
)
DOCKERFLOW_CHECKS: list[str] = []
DOCKERFLOW_HEARTBEAT_FAILED_STATUS_CODE = 503
{% if cookiecutter.use_prometheus %}

# Metrics

METRICS_NETWORKS = env.networks(
    "METRICS_NETWORKS",
    "Address ranges from which Prometheus may read /metrics; others find nothing there.",
    default=PRIVATE_NETWORKS,
)
{% endif %}

# Logs

LOG_LEVEL = env.choice(
    "LOG_LEVEL",
    "Least severe log lines to print.",
    default="info",
    choices=("debug", "info", "warning", "error"),
)
LOGGING = logs.configuration(LOG_LEVEL, readable=DEBUG)
{% if cookiecutter.error_tracking == "sentry" %}

# Errors

SENTRY_DSN = env.url(
    "SENTRY_DSN",
    "Where Sentry takes reports of exceptions; without it there are none.",
    schemes={"http", "https"},
    default="",
    example="https://change-me@sentry.{{ cookiecutter.domain_name }}/1",
)
SENTRY_TRACES_SAMPLE_RATE = env.text(
    "SENTRY_TRACES_SAMPLE_RATE",
    "Share of requests whose timing is reported, from 0 to 1.",
    default="0",
    check=sentry.check_rate,
)
if SENTRY_DSN:
    sentry.configure(
        SENTRY_DSN,
        environment=ENVIRONMENT,
        release=RELEASE,
        traces_sample_rate=float(SENTRY_TRACES_SAMPLE_RATE),
    )
{% endif %}
{% if cookiecutter.error_tracking == "bugsnag" %}

# Errors

BUGSNAG_API_KEY = env.text(
    "BUGSNAG_API_KEY",
    "Key for reporting exceptions to Bugsnag; without it there are no reports.",
    default="",
)
BUGSNAG_ENDPOINT = env.url(
    "BUGSNAG_ENDPOINT",
    "Where Bugsnag takes reports, if not in its own cloud.",
    schemes={"http", "https"},
    default="",
    example="https://bugsnag.{{ cookiecutter.domain_name }}/notify",
)
if BUGSNAG_API_KEY:
    bugsnag.configure(
        BUGSNAG_API_KEY,
        endpoint=BUGSNAG_ENDPOINT,
        environment=ENVIRONMENT,
        release=RELEASE,
    )
{% endif %}

# Read by the server and the entry point, declared here to be checked and documented

env.integer("PORT", "Port that the server listens on.", default=8000, minimum=1, maximum=65535)
{% if cookiecutter.server != "daphne" %}
env.integer("WEB_CONCURRENCY", "Number of server processes.", default=2, minimum=1)
{% endif %}
env.boolean("DJANGO_MANAGEPY_MIGRATE", "Migrate before the server starts.", default=False)

env.check()
