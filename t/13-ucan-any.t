#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Several requirements of which one is enough, and resources of 0.x that are
# no mesh's.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Mint;

my $did = Mesh::Test::Mint->did('mesh');

my $mesh = Mesh::Test->new(
    modules => ['ucan'],
    files   => { 'mesh.did' => $did },
    server  => q{
        ucan           on;
        ucan_audience  file:mesh.did;

        location /all/ {
            empty_gif;
            ucan_require  /room/read room=$arg_room;
            ucan_require  /room/list;
        }

        location /any/ {
            empty_gif;
            ucan_require       /room/read room=$arg_room;
            ucan_require       /room/list;
            ucan_require_mode  any;

            location /any/inner/ { empty_gif; ucan_require /room/manage; }

            location /any/all/ {
                empty_gif;
                ucan_require       /room/manage;
                ucan_require       /room/list;
                ucan_require_mode  all;
            }
        }

        location /files/ {
            empty_gif;
            ucan_require   /file/read kind=$arg_kind;
            ucan_resource  https://example.org/files/$arg_file;

            location /files/below/ {
                empty_gif;
                ucan_resource  https://example.org/files/$arg_file prefix;
            }

            location /files/named/ {
                empty_gif;
                ucan_resource  $arg_with ability=$arg_can;
            }

            location /files/mesh/ {
                empty_gif;
                ucan_resource  off;
            }
        }
    },
)->start;

my $files = 'https://example.org/files';
my $read = '{"file/read":[{}]}';
my $caps = qq({"$files/a":$read,"$files/dir/":$read,)
           . qq("$files/box":{"file/read":[{"kind":"red"}]}});
my $token = Mesh::Test::Mint->mint(<<"END");
delegation read aud=ada cmd=/room/read room=r_1
invocation ada iss=ada sub=ada cmd=/session/open
container ada list=read,ada

delegation list aud=bot cmd=/room/list
invocation bot iss=bot sub=bot cmd=/session/open
container bot list=list,bot

delegation file aud=eve cmd=/file/read
invocation eve iss=eve sub=eve cmd=/session/open
container eve list=file,eve

jwt root aud=ann caps=$caps exp=7200
jwt ann iss=ann caps=$caps prf=root
header proofs list=root
END

sub status {
    my ($name, $path) = @_;

    my @proofs = $name eq 'ann' ? (headers => { ucans => $token->{proofs} })
                                : ();

    return $mesh->get($path, token => $token->{$name}, @proofs)->status;
}


# Any.

is(status(ada => '/all/?room=r_1'), 403, 'all must hold when nothing is said');
is(status(ada => '/any/?room=r_1'), 200, 'any: the first is enough');
is(status(bot => '/any/?room=r_1'), 200, '... or another');
is(status(eve => '/any/?room=r_1'), 403, '... but one must hold');

my $reply = $mesh->get('/any/?room=r_2', token => $token->{ada});

is($reply->status, 403, '... with its arguments');
is($reply->json->{command}, '/room/read', 'the answer names the first');
is($reply->header('WWW-Authenticate'),
   'Bearer realm="mesh", error="insufficient_scope", scope="/room/read"',
   '... its challenge too');
is(status(bot => '/any/inner/'), 403, 'other requirements replace them all');
is(status(bot => '/any/all/'), 403, '... and all may be asked for again');


# Resources.

is(status(ann => '/files/?file=a'), 200, 'a capability for a resource');
is(status(ann => '/files/?file=b'), 403, '... and no other');
is(status(ann => '/files/?file='), 403, '... nor one above it');
is(status(ann => '/files/mesh/?file=a'), 403,
   '... is none for a resource of a mesh');
is(status(ann => '/files/?file=a%2fb'), 403, 'nothing lies below it');
is(status(ann => '/files/below/?file=dir/x'), 200, '... unless it is said');
is(status(ann => '/files/below/?file=a/x'), 200, '... at a slash');
is(status(ann => '/files/below/?file=ab'), 403, '... and nowhere else');
is(status(ann => "/files/named/?with=$files/a&can=file/read"), 200,
   'resource and ability may be variables');
is(status(ann => "/files/named/?with=$files/a&can=file/write"), 403,
   '... which are compared');
is(status(ann => "/files/named/?with=&can=file/read"), 403,
   '... and must not be empty');
is(status(ann => "/files/named/?with=$files/a&can="), 403,
   '... neither of them');
is(status(ann => '/files/?file=box&kind=red'), 200,
   'a caveat sees the arguments of the requirement');
is(status(ann => '/files/?file=box&kind=blue'), 403, '... and refuses');
is(status(ann => '/files/?file=box'), 403, '... also what is absent');
is(status(eve => '/files/?file=a'), 200, 'a 1.0 session is asked by command');

done_testing;
