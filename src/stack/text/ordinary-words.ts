/**
 * Words that are common development passwords and also common in ordinary output. Hiding them protects nothing and
 * makes logs and reports unreadable.
 */
const WORDS = `
access account active address admin administrator alpha amazon analytics android answer apache apple application archive
backend backup banana basic batch billing boolean branch bridge browser bucket builder building cache callback central
certificate change changeit changeme channel check chrome client cloud cluster collection column command commandcenter
comment commit common company compose config configuration connect connection console consumer container content control
controller cookie counter create customer daemon dashboard database datadog debian debug default delete demo deploy
deployment desktop develop developer development device digest directory disable disabled docker document domain
dragon driver dummy editor elastic element email enable enabled engine entity entry environment error events example
exception execute external factory failed failure feature field filter finance firefox folder football format forward
frontend function gateway general github global google grafana graph group guest handler health hello helper hidden
history hostname identity image import index information ingest inner input install instance integer interface internal
inventory invalid invoice issue items javascript jenkins journal kafka kernel keycloak kubernetes label language latest
launch layer legacy length letmein level library license linux listen local localhost location logger login logout
machine mailer manage manager manual mariadb market master member memory message metadata method metrics microsoft
migrate migration minimal minio minioadmin missing mobile model module mongo mongodb monitor monkey mysql namespace
network neutral nginx nobody normal notes notice number object offline online operation operator optional oracle order
orders origin output owner package parent partner passive passwd password pattern payment pending people permission
person phone platform player please plugin policy portal postgres postgresql preview primary princess private process
processor produce producer product production profile program progress project prometheus promise property protected
protocol provider proxy public publish python qwerty qwertz queue rabbit rabbitmq random reader readonly record redis
refresh region register release remote replica report request required resource response restart result return review
rewrite rollback router runner running sample sandbox scheduler schema schemas screen script search secret secrets
secure security select sender server service services session settings shadow shared shopping simple single socket
source spring stable staging standard start started startup status storage store stream string strong student style
subject submit success summary summer sunshine superuser supervisor support switch symbol system table target task
template terminal testing testpass testpassword testuser thread ticket title toggle token tokens topic tracker traffic
transfer trigger trusted ubuntu unknown update upload upstream username value values vendor verify version video view
viewer virtual visitor volume wallet warning webhook website welcome widget window windows winter worker workers
workflow workspace writer yellow
`;

const ORDINARY = new Set(WORDS.trim().split(/\s+/));

/** True when the value is such a word, ignoring case. */
export const isOrdinaryWord = (value: string): boolean => ORDINARY.has(value.toLowerCase());
